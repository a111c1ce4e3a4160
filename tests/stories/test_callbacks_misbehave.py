"""Callbacks come never, late, twice, out of order, or from somebody else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.simulator.load import submit_direct
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.stories.house import House


def test_a_callback_that_never_came_is_found_by_polling(house: House) -> None:
    prediction = house.ended(house.submit("lost"))
    assert (prediction["stage"], prediction["received_via"]) == ("done", "poll")
    assert len(house.heard(prediction["id"])) == 1


def test_a_prediction_that_nobody_told_us_of_is_found_in_the_providers_list(house: House) -> None:
    inputs = {"prompt": "a fox", "simulate": "clean"}
    id_ = asyncio.run(submit_direct(house.world.provider, "stories/painter", inputs, None))
    wait_until(lambda: house.show(id_), 20, "it is adopted")
    prediction = house.ended(id_)
    assert prediction["stage"] == "done"
    assert prediction["received_via"] in ("reconcile", "poll")


def test_a_callback_outside_the_tolerance_is_not_believed_but_polled(house: House) -> None:
    prediction = house.ended(house.submit("late"))
    assert (prediction["stage"], prediction["received_via"]) == ("done", "poll")
    sent = house.truth(prediction["id"])["callbacks"]
    assert [one["status"] for one in sent] == [202]


def test_the_same_callback_twice_has_one_effect(house: House) -> None:
    prediction = house.ended(house.submit("duplicate"))
    wait_until(lambda: len(house.truth(prediction["id"])["callbacks"]) >= 2)
    assert {one["status"] for one in house.truth(prediction["id"])["callbacks"]} == {200}
    assert house.ended(prediction["id"])["attempts"] == 1
    assert len(house.heard(prediction["id"])) == 1


def test_a_late_word_of_processing_changes_nothing(house: House) -> None:
    prediction = house.ended(house.submit("out_of_order"))
    wait_until(lambda: len(house.truth(prediction["id"])["callbacks"]) == 2)
    assert house.show(prediction["id"])["stage"] == "done"


def test_a_forged_callback_is_refused_and_leaves_no_trace(house: House) -> None:
    prediction = house.ended(house.submit("forged"))
    assert prediction["stage"] == "done"
    assert 401 in [one["status"] for one in house.truth(prediction["id"])["callbacks"]]
    assert [event["type"] for event in house.heard(prediction["id"])] == ["prediction.completed"]
