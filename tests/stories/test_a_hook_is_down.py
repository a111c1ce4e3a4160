"""A hook that fails is tried again, with the same event, and holds up nobody else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.stories.house import FLAKY_MODEL
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.stories.house import House


def test_the_event_is_delivered_with_one_id_and_the_same_bytes_once_the_hook_is_back(house: House) -> None:
    prediction = house.ended(house.submit("clean", model=FLAKY_MODEL))
    attempts = [line for line in house.world.flaky_sink.seen if line["prediction"] == prediction["id"]]

    assert [line["status"] for line in attempts] == [503, 503, 503, 200]
    assert len({line["event_id"] for line in attempts}) == 1
    assert len({line["body"] for line in attempts}) == 1
    assert all(line["verified"] for line in attempts)
    states = {one["hook"]: (one["state"], one["attempts"]) for one in prediction["deliveries"]}
    assert states == {"sample": ("delivered", 1), "flaky": ("delivered", 4)}


def page(house: House, path: str) -> str:
    answer = house.client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_its_page_tells_that_it_failed_and_that_it_is_back(house: House) -> None:
    house.ended(house.submit("clean", model=FLAKY_MODEL))
    text = page(house, "/hooks/flaky")
    assert "takes events" in text
    assert re.search("503 \u00d7 [0-9]+", text), "what it fails of"
    assert "err%3A503" in text, "and leads to what stands at it"


def test_a_ping_that_a_page_asks_for_is_sent_by_the_sweeper(house: House) -> None:
    asked = house.client.post("/hooks/sample/test")
    assert (asked.status_code, asked.headers["location"]) == (303, "/hooks/sample")
    wait_until(lambda: "answered 200" in page(house, "/hooks/sample"), 20, "the answer is on the page")
    assert "It takes events." in page(house, "/hooks/sample")
