"""Unknown is never clean: held files are kept, and nobody downstream is led to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.stories.house import House


@pytest.mark.parametrize(
    ("scenario", "nsfw"), [("flagged", "flagged"), ("unknown", "unknown"), ("empty_flags", "unknown")]
)
def test_it_is_held_and_no_event_leads_to_it(house: House, scenario: str, nsfw: str) -> None:
    prediction = house.ended(house.submit(scenario))

    first = prediction["outputs"][0]
    assert (prediction["stage"], first["disposition"], first["nsfw"]) == ("done", "held", nsfw)
    assert "/outputs/held/" in first["uri"]
    told = [output for event in house.heard(prediction["id"]) for output in event["data"]["outputs"]]
    held = [output for output in told if output["disposition"] == "held"]
    assert held
    assert all(output["uri"] is None and output["sha256"] is None for output in held)


def test_every_held_output_has_an_event_of_its_own(house: House) -> None:
    prediction = house.ended(house.submit("unknown"))
    kinds = sorted(event["type"] for event in house.heard(prediction["id"]))
    assert kinds == ["output.held"] * len(prediction["outputs"]) + ["prediction.completed"]
