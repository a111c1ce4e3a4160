"""What ended long ago has its compact form in the ledger: it is shown, sent, fetched and reviewed as ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis

from service import keys, wavespeed
from service.ledger.compact import LIVES
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.stories.house import House


def compact(house: House, id_: str) -> dict[str, Any]:
    """The prediction as it is shown, once the ledger has it in its compact form."""
    with redis.Redis.from_url(house.environment["CATCHLIGHT_REDIS_URL"]) as client:
        wait_until(
            lambda: client.hexists(f"{keys.PREDICTION}{wavespeed.SOURCE}:{id_}", LIVES),
            what=f"{id_} is compact",
        )
    return house.show(id_)


def file_of(output: dict[str, Any]) -> Path:
    return Path(urlsplit(output["uri"]).path)


def replay(house: House, id_: str, step: str) -> dict[str, Any]:
    answer = house.client.post(f"/api/v1/predictions/{id_}/replay", json={"from": step})
    assert answer.status_code == 202, answer.text
    return house.ended(id_)


def listed(house: House, what: str, id_: str) -> list[dict[str, Any]]:
    items = house.client.get(f"/api/v1/{what}", params={"limit": 200}).json()["items"]
    return [item for item in items if id_ in (item["id"], item.get("prediction"))]


def test_nobody_sees_a_difference(house: House) -> None:
    id_ = house.submit("multi", order="42")
    before = house.ended(id_)
    assert compact(house, id_) == before
    [item] = listed(house, "predictions", id_)
    assert (item["outputs"], item["metadata"]) == (before["outputs"], {"order": "42"})
    assert listed(house, "deliveries", id_) == before["deliveries"]


def test_the_hook_is_told_again_in_the_same_words(house: House) -> None:
    id_ = house.submit("clean")
    house.ended(id_)
    compact(house, id_)
    replay(house, id_, "deliver")
    wait_until(lambda: len(house.heard(id_)) == 2, what="told twice")
    first, second = house.heard(id_)
    assert first == second
    lines = [line for line in house.world.sink.seen if line["prediction"] == id_]
    assert len({line["event_id"] for line in lines}) == 1
    compact(house, id_)


def test_a_file_that_somebody_removed_is_fetched_again(house: House) -> None:
    id_ = house.submit("clean")
    [output] = house.ended(id_)["outputs"]
    compact(house, id_)
    manifest = json.loads((file_of(output).parent / "manifest.json").read_text())
    file_of(output).unlink()

    after = replay(house, id_, "fetch")

    assert (after["outputs"], after["received_via"]) == ([output], "replay")
    assert file_of(output).is_file()
    again = json.loads((file_of(output).parent / "manifest.json").read_text())
    assert again["payload"] == manifest["payload"]


def test_a_person_approves_what_was_held(house: House) -> None:
    id_ = house.submit("unknown")
    house.ended(id_)
    compact(house, id_)
    assert id_ in [item["id"] for item in listed(house, "review", id_)]

    answer = house.client.post(f"/api/v1/review/{id_}/0/approve", json={"by": "ada"})

    assert answer.status_code == 202, answer.text
    [released] = house.ended(id_)["outputs"]
    assert (released["disposition"], file_of(released).is_file()) == ("released", True)
    assert len(house.heard(id_, "output.released")) == 1
    assert len(house.heard(id_, "prediction.completed")) == 1
