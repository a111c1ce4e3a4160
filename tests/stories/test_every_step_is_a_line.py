"""One line for each callback, each step of a prediction, each attempt of a delivery; and no secret in any."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from service.simulator.simulator import DEMO_SECRET
from tests.stories.house import FLAKY_MODEL, HOOK_SECRET
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.stories.house import House

ROLES = ("serve", "work", "sweep")
SAID_BY = {"callback": "serve", "prediction.committed": "work", "delivery.attempted": "work"}
"""The canonical lines, and who says them."""
ALWAYS = {"event", "level", "logger", "timestamp"}
FIELDS = {
    "callback": {"prediction", "said", "outcome"},
    "prediction.committed": {
        "prediction", "model", "stage", "reason", "attempt", "outputs", "events", "error", "ms",
    },
    "delivery.attempted": {
        "prediction", "delivery", "hook", "event_kind", "attempt", "probe", "status", "error", "decision",
        "ms",
    },
}  # fmt: skip


def lines(house: House, role: str) -> list[dict[str, Any]]:
    """All are JSON but the one that says that the role is ready; a key that stood twice would be seen."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), f"said twice: {pairs}"
        return dict(pairs)

    said = house.log(role).split("\n")
    assert said[-1] == "", "the last line has its end"
    return [json.loads(line, object_pairs_hook=once) for line in said[:-1] if line != f"ready role={role}"]


def told(house: House, id_: str) -> Counter[str]:
    """How often each event was said of a prediction, `<role> <event>`."""
    return Counter(
        f"{role} {line['event']}"
        for role in ROLES
        for line in lines(house, role)
        if line.get("prediction") == f"wavespeed:{id_}"
    )


@pytest.mark.parametrize(
    ("scenario", "model", "more"),
    [
        ("clean", "stories/painter", {}),
        ("duplicate", "stories/painter", {}),
        ("late", "stories/painter", {"sweep polled": 1}),
        ("lost", "stories/painter", {"sweep polled": 1}),
        ("truncated", FLAKY_MODEL, {}),
        ("moderation", "stories/painter", {}),
        ("flagged", "stories/painter", {}),
    ],
)
def test_each_thing_that_happens_is_said_once(
    house: House, scenario: str, model: str, more: dict[str, int]
) -> None:
    id_ = house.submit(scenario, model=model)
    prediction = house.ended(id_)
    taken = (200, 202)

    def counted() -> bool:
        # Callbacks may come after the end, and a line is out a moment after the answer.
        seen = [one["status"] for one in house.truth(id_)["callbacks"]]
        deliveries = prediction["deliveries"]
        expected = Counter(
            {
                "serve submitted": 1,
                "serve callback": len([status for status in seen if status in taken]),
                "work prediction.committed": prediction["attempts"],
                "work delivery.attempted": sum(one["attempts"] for one in deliveries),
            }
            | more
        )
        return told(house, id_) == +expected

    wait_until(counted, 10, f"one line each of {prediction}; there are {told(house, id_)}")


def test_canonical_lines_have_the_fields_that_the_runbook_names(house: House) -> None:
    house.ended(house.submit("clean"))
    for role in ROLES:
        for line in lines(house, role):
            if (event := line["event"]) in SAID_BY:
                assert role == SAID_BY[event]
                assert set(line) == ALWAYS | FIELDS[event]


def test_a_forged_callback_is_one_line_and_of_no_prediction(house: House) -> None:
    id_ = house.submit("forged")
    house.ended(id_)
    refused = [line for line in lines(house, "serve") if line["event"] == "callback.refused"]
    assert refused
    assert all("prediction" not in line for line in refused)


def test_no_line_has_a_secret_a_query_or_a_second_line(house: House) -> None:
    house.ended(house.submit("clean"))
    for role in ROLES:
        text = house.log(role)
        for secret in (DEMO_SECRET, DEMO_SECRET.removeprefix("whsec_"), HOOK_SECRET):
            assert secret not in text
        assert not re.search(r"\w://[^\s\"]*\?(?!…)", text)
        for line in lines(house, role):
            assert not [name for name, value in line.items() if "\n" in str(value) and name != "exception"]
