"""`explain`: sentences from a timeline, whatever stands in it."""

from __future__ import annotations

from typing import Any

import pytest

from service import clock
from service.cli.paragraph import outcome, tell
from service.prediction import Stage, Step

NOW = 1_700_000_000.0


def prediction(
    stage: Stage | str = Stage.DONE, *steps: tuple[float, str, str], **more: Any
) -> dict[str, Any]:
    """Steps are (seconds ago, step, detail)."""
    timeline = [
        {"at": clock.rfc3339(NOW - ago), "step": step, "detail": detail} for ago, step, detail in steps
    ]
    return {
        "id": "p1",
        "model": "vendor/model",
        "stage": stage,
        "status": "",
        "reason": None,
        "error": None,
        "attempts": 1,
        "finished_at": None,
        "outputs": [],
        "deliveries": [],
        "timeline": timeline,
    } | more


def test_a_story_is_told_with_times_relative_to_one_another() -> None:
    told = tell(
        prediction(
            Stage.DONE,
            (180, Step.SUBMITTED, ""),
            (170, Step.CALLED_BACK, ""),
            (169.99, Step.ACCEPTED, "completed"),
            (169.5, Step.LEASED, "worker-1"),
            (168, Step.COMMITTED, "done"),
            finished_at=clock.rfc3339(NOW - 168),
            outputs=[{"disposition": "stored"}, {"disposition": "stored"}],
        ),
        NOW,
    )
    assert told == (
        "p1 is a prediction of vendor/model. 3 min ago (2023-11-14T22:10:20.000Z) we submitted it. "
        "10 s later a callback came. "
        "At once its completion was written down and queued, with the status completed. "
        "0.5 s later the worker worker-1 took it up. 1.5 s later it ended as done. "
        "It is done since 3 min ago: 2 stored."
    )


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize("detail", ["", "some detail"])
def test_every_step_makes_a_sentence(step: Step, detail: str) -> None:
    told = tell(prediction(Stage.WORKING, (5, step, detail)), NOW)
    assert "{}" not in told
    assert not told.endswith(f"{step}.")


def test_a_step_of_a_newer_version_is_told_as_it_is() -> None:
    assert "teleported: to Mars." in tell(prediction(Stage.DONE, (5, "teleported", "to Mars")), NOW)


@pytest.mark.parametrize(
    ("stage", "more", "sentence"),
    [
        (Stage.AWAITED, {}, "It is awaited: nothing came yet"),
        (Stage.AWAITED, {"status": "processing"}, 'the provider last said "processing"'),
        (Stage.ACCEPTED, {}, "It waits for a worker."),
        (Stage.ACCEPTED, {"error": "503"}, "the last attempt failed (503)."),
        (Stage.WORKING, {"attempts": 2}, "A worker is at it, attempt 2."),
        (Stage.FAILED, {"reason": "moderation", "error": "no"}, "It is failed (moderation: no)."),
        (
            Stage.EXPIRED,
            {"reason": "deadline"},
            "It is expired (deadline). `catchlight replay p1` tries again.",
        ),
        (Stage.DEAD, {}, "It is dead. `catchlight replay p1` tries again."),
    ],
)
def test_the_story_ends_with_how_it_stands(stage: Stage, more: dict[str, Any], sentence: str) -> None:
    assert sentence in tell(prediction(stage, **more), NOW)


def test_a_stage_of_a_newer_version_is_told_as_it_is() -> None:
    assert "It is pondering." in tell(prediction("pondering"), NOW)


def test_what_is_held_waits_for_a_person() -> None:
    assert "waits for a person" in tell(prediction(outputs=[{"disposition": "held"}]), NOW)


def test_who_is_not_told_yet_is_named_with_the_next_attempt() -> None:
    delivery = {
        "hook": "crm",
        "event": "prediction.completed",
        "state": "pending",
        "attempts": 2,
        "next_attempt_at": clock.rfc3339(NOW + 300),
    }
    told = tell(prediction(deliveries=[delivery]), NOW)
    assert "Not yet told: crm of prediction.completed (attempts: 2, again in 5 min)." in told


def test_outputs_are_summed_up_by_disposition() -> None:
    outputs: list[dict[str, Any]] = [{"disposition": word} for word in ("stored", "held", None, "stored")]
    assert outcome(outputs) == "2 stored, 1 held, 1 open"
