"""A hook that fails is tried again, with the same event, and holds up nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.stories.house import FLAKY_MODEL

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
