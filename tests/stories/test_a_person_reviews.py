"""A held image waits for a person: approved it joins the others, rejected it stays; both can be undone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tests.stories.house import House


def decided(house: House, id_: str, decision: str, **said: str) -> dict[str, Any]:
    """The prediction, once a worker has carried it out and the hook was told."""
    answer = house.client.post(f"/api/v1/review/{id_}/0/{decision}", json=said)
    assert answer.status_code == 202, answer.text
    return house.ended(id_)


def waiting(house: House) -> list[str]:
    answer = house.client.get("/api/v1/review", params={"limit": 200})
    return [item["id"] for item in answer.json()["items"]]


def path_of(output: dict[str, Any]) -> Path:
    return Path(urlsplit(output["uri"]).path)


def told(house: House, id_: str, kind: str) -> list[dict[str, Any]]:
    """The one output of each event of that kind."""
    return [event["data"]["outputs"][0] for event in house.heard(id_, kind)]


def test_approved_it_stands_at_its_normal_place_and_the_hook_is_told_where(house: House) -> None:
    id_ = house.submit("unknown")
    held = house.ended(id_)["outputs"][0]
    assert id_ in waiting(house)

    released = decided(house, id_, "approve", by="ada", reason="a fox, no more")["outputs"][0]

    normal = Path(str(path_of(held)).replace("/outputs/held/", "/outputs/"))
    assert (released["disposition"], path_of(released)) == ("released", normal)
    assert hashlib.sha256(normal.read_bytes()).hexdigest() == held["sha256"] == released["sha256"]
    assert (normal.parent / "manifest.json").is_file()
    assert [path.name for path in path_of(held).parent.iterdir()] == []
    assert told(house, id_, "output.released") == [released]
    assert len(house.heard(id_, "prediction.completed")) == 1
    assert id_ not in waiting(house)


def test_rejected_it_stays_and_the_hook_is_not_led_to_it(house: House) -> None:
    id_ = house.submit("unknown")
    held = house.ended(id_)["outputs"][0]

    rejected = decided(house, id_, "reject", by="ada")["outputs"][0]

    assert (rejected["disposition"], rejected["uri"]) == ("rejected", None)
    assert hashlib.sha256(path_of(held).read_bytes()).hexdigest() == held["sha256"]
    (event,) = told(house, id_, "output.rejected")
    assert (event["uri"], event["sha256"]) == (None, None)
    assert len(house.heard(id_, "prediction.completed")) == 1
    assert id_ not in waiting(house)


def test_undone_it_is_held_again_and_can_be_decided_anew(house: House) -> None:
    id_ = house.submit("unknown")
    held = house.ended(id_)["outputs"][0]
    released = decided(house, id_, "approve")["outputs"][0]

    undone = decided(house, id_, "undo", reason="looked again")["outputs"][0]

    assert {name: undone[name] for name in ("disposition", "uri")} == {
        name: held[name] for name in ("disposition", "uri")
    }
    assert path_of(held).is_file()
    assert not path_of(released).exists()
    assert id_ in waiting(house)

    again = decided(house, id_, "approve")
    assert again["outputs"][0] == released
    assert [line["detail"] for line in again["timeline"] if line["step"] == "reviewed"] == [
        "0 approved by operator",
        "0 undone by operator: looked again",
        "0 approved by operator",
    ]
    releases = [
        line["event_id"]
        for line in house.world.sink.seen
        if (line["prediction"], line["type"]) == (id_, "output.released")
    ]
    assert len(set(releases)) == len(releases) == 2
