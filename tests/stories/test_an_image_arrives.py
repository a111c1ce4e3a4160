"""The way of the data: submitted, called back, fetched, stored, told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.telling.waterfall import Kind, waterfall

if TYPE_CHECKING:
    from tests.stories.house import House


TRIES = (Kind.FETCHING, Kind.WAITING)


def path_of(uri: str) -> Path:
    return Path(urlsplit(uri).path)


def test_a_submitted_image_is_stored_as_it_was_served_and_the_hook_is_told(house: House) -> None:
    id_ = house.submit("clean", order="42")
    prediction = house.ended(id_)

    [output] = prediction["outputs"]
    file = path_of(output["uri"])
    assert hashlib.sha256(file.read_bytes()).hexdigest() == output["sha256"] == house.truth(id_)["sha256"][0]
    assert (prediction["stage"], prediction["received_via"]) == ("done", "callback")
    assert (output["disposition"], output["nsfw"], output["bytes"]) == (
        "stored",
        "clean",
        file.stat().st_size,
    )
    assert (output["width"], output["height"]) != (None, None)

    [event] = house.heard(id_)
    assert event["type"] == "prediction.completed"
    assert event["data"]["outputs"][0]["uri"] == output["uri"]
    assert event["data"]["metadata"] == {"order": "42"}


def test_the_files_lie_where_the_contract_says_with_a_manifest_beside_them(house: House) -> None:
    id_ = house.submit("multi", model="Stories/Some__Painter-2.1")
    prediction = house.ended(id_)

    day = prediction["created_at"][:10].replace("-", "/")
    folder = house.folder / "outputs" / "stories_some_painter-2.1" / day / id_
    assert sorted(path_of(output["uri"]).parent for output in prediction["outputs"]) == [folder] * len(
        prediction["outputs"]
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["payload"]["id"] == id_
    assert [one["sha256"] for one in manifest["outputs"]] == [one["sha256"] for one in prediction["outputs"]]


def test_the_timeline_tells_every_step_in_order(house: House) -> None:
    prediction = house.ended(house.submit("clean"))
    steps = [line["step"] for line in prediction["timeline"]]
    told = [
        "called_back",
        "accepted",
        "leased",
        "judged",
        "fetched",
        "stored",
        "committed",
        "event",
        "delivered",
    ]
    assert [step for step in steps if step in told] == told
    assert "submitted" in steps
    spans = [span for span in waterfall(prediction) if span.kind is not Kind.MARK]
    kinds = ["provider", "queued", "working", "fetching", "delivering"]
    assert [span.kind for span in spans] == kinds, "and the waterfall shows who had it meanwhile"
    assert all(span.end is not None and not span.failed for span in spans)


def test_a_text_is_kept_in_the_manifest_and_is_no_error(house: House) -> None:
    prediction = house.ended(house.submit("text"))
    assert prediction["stage"] == "done"
    assert {output["disposition"] for output in prediction["outputs"]} == {"skipped"}
    assert house.heard(prediction["id"], "prediction.completed")[0]["data"]["outputs"] == []


def test_a_completion_without_outputs_is_done(house: House) -> None:
    prediction = house.ended(house.submit("empty"))
    assert (prediction["stage"], prediction["outputs"]) == ("done", [])
    assert len(house.heard(prediction["id"])) == 1


def test_what_the_provider_failed_is_failed_with_its_reason(house: House) -> None:
    prediction = house.ended(house.submit("moderation"))
    assert (prediction["stage"], prediction["reason"]) == ("failed", "moderation")
    assert [event["type"] for event in house.heard(prediction["id"])] == ["prediction.failed"]


def test_outputs_that_are_gone_expire_the_prediction(house: House) -> None:
    prediction = house.ended(house.submit("expired"))
    assert (prediction["stage"], prediction["reason"]) == ("expired", "outputs_gone")
    assert [event["type"] for event in house.heard(prediction["id"])] == ["prediction.expired"]


def test_a_truncated_download_is_tried_again_until_it_is_whole(house: House) -> None:
    prediction = house.ended(house.submit("truncated"))
    assert (prediction["stage"], prediction["attempts"]) == ("done", 2)
    assert prediction["outputs"][0]["sha256"] == house.truth(prediction["id"])["sha256"][0]
    shown = [(span.kind, span.failed) for span in waterfall(prediction) if span.kind in TRIES]
    assert shown == [(Kind.FETCHING, True), (Kind.WAITING, False), (Kind.FETCHING, False)]
