"""`explain`: sentences from a timeline, whatever stands in it."""

from __future__ import annotations

from typing import Any

import pytest

from service import clock
from service.prediction import Stage, Step
from service.telling.clauses import ordinal
from service.telling.paragraph import outcome, tell

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


def test_a_story_is_short_and_says_when_and_how_much_later() -> None:
    told = tell(
        prediction(
            Stage.DONE,
            (180, Step.SUBMITTED, ""),
            (170, Step.CALLED_BACK, "completed"),
            (170, Step.ACCEPTED, "completed"),
            (169.5, Step.LEASED, "worker-1"),
            (168.5, Step.STORED, "file:///0.png"),
            (168.4, Step.STORED, "file:///1.png"),
            (168, Step.COMMITTED, "done"),
            (168, Step.EVENT, "prediction.completed"),
            (100, Step.DELIVERED, "crm prediction.completed: 200"),
            finished_at=clock.rfc3339(NOW - 168),
            outputs=[{"disposition": "stored"}, {"disposition": "stored"}],
            deliveries=[
                {"hook": "crm", "event": "prediction.completed", "state": "delivered", "attempts": 3}
            ],
        ),
        NOW,
    )
    assert told == (
        "p1 of vendor/model: submitted 22:10:20; called back 22:10:30, 10 s later; "
        "done with 2 stored 22:10:32, 2.0 s later; "
        "crm told of prediction.completed at the 3rd attempt 22:11:40, 68 s later. "
        "It is done since 3 min ago: 2 stored."
    )


def test_what_nobody_called_back_for_was_found_by_us() -> None:
    found = prediction(
        Stage.WORKING,
        (61, Step.POLLED, "completed"),
        (61, Step.ACCEPTED, "completed"),
        created_at=clock.rfc3339(NOW - 122),
    )
    assert "created at the provider 22:11:18; no callback; found by poll 22:12:19, 61 s later." in tell(
        found, NOW
    )
    listed = prediction(Stage.WORKING, (9, Step.RECONCILED, "completed"), (9, Step.ACCEPTED, "completed"))
    assert "no callback; found in the provider's list 22:13:11." in tell(listed, NOW)


def test_a_callback_that_came_too_late_is_not_called_a_missing_one() -> None:
    told = tell(
        prediction(
            Stage.WORKING,
            (9, Step.CALLED_BACK, "outside the tolerance"),
            (8, Step.POLLED, "completed"),
            (8, Step.ACCEPTED, "completed"),
        ),
        NOW,
    )
    assert "a callback came too old to be believed 22:13:11; found by poll 22:13:12, 1.0 s later." in told


def test_only_what_changed_nothing_is_said_to_have_changed_nothing() -> None:
    """Neither the word of its progress before, nor the completion that came after a failure."""
    told = tell(
        prediction(
            Stage.DONE,
            (99, Step.CALLED_BACK, "processing"),
            (90, Step.CALLED_BACK, "failed"),
            (90, Step.ACCEPTED, "failed"),
            (89, Step.COMMITTED, "failed"),
            (80, Step.CALLED_BACK, "completed"),
            (80, Step.ACCEPTED, "completed"),
            (79, Step.COMMITTED, "done"),
        ),
        NOW,
    )
    assert "changed nothing" not in told
    assert "called back as failed 22:11:50; failed 22:11:51, 1.0 s later; called back 22:12:00" in told


def test_troubles_are_told_once_with_their_number() -> None:
    told = tell(
        prediction(
            Stage.DONE,
            (99, Step.CALLED_BACK, "completed"),
            (99, Step.ACCEPTED, "completed"),
            *((98 - n, Step.LEASED, "w1") for n in range(3)),
            *((98 - n, Step.FETCHED, "0 failed: the origin answered 503") for n in range(2)),
            (90, Step.CRASHED, "w1"),
            (89, Step.COMMITTED, "done"),
            (80, Step.CALLED_BACK, "completed"),
        ),
        NOW,
    )
    assert (
        "done at the 3rd attempt (before: the origin answered 503 (2 times); the worker w1 died with it)"
        in told
    )
    assert "the callback came once more and changed nothing" in told


def test_the_day_is_told_when_it_is_another_one() -> None:
    told = tell(prediction(Stage.AWAITED, (90_000, Step.TRACKED, ""), (60, Step.REPLAYED, "from fetch")), NOW)
    assert "tracked 2023-11-13 21:13:20; replayed from fetch 2023-11-14 22:12:20, 25 h later." in told


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd"), (113, "113th")],
)
def test_attempts_are_numbered_as_people_do(number: int, text: str) -> None:
    assert ordinal(number) == text


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize("detail", ["", "some detail"])
def test_every_step_can_stand_alone_with_any_detail(step: Step, detail: str) -> None:
    told = tell(prediction(Stage.WORKING, (5, step, detail)), NOW)
    assert "{}" not in told
    assert told.startswith("p1 of vendor/model: ")
    assert told.endswith("A worker is at it, attempt 1.")


def test_a_step_of_a_newer_version_is_told_as_it_is() -> None:
    assert "teleported: to Mars 22:13:15." in tell(prediction(Stage.DONE, (5, "teleported", "to Mars")), NOW)


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
    assert outcome([{"disposition": "skipped"}]) == "1 text (nothing to fetch)", "and no loss"


@pytest.mark.parametrize("attempts", [0, 2])
def test_a_telling_that_is_over_is_not_told_with_the_attempts_of_the_next(attempts: int) -> None:
    delivery = {
        "id": "dlv_1",
        "hook": "crm",
        "event": "prediction.completed",
        "state": "pending",
        "attempts": attempts,
        "next_attempt_at": None,
    }
    told = tell(
        prediction(
            Stage.DONE,
            (100, Step.DELIVERED, "crm prediction.completed: 200"),
            (50, Step.REPLAYED, "from deliver"),
            finished_at=clock.rfc3339(NOW - 168),
            deliveries=[delivery],
        ),
        NOW,
    )
    assert " attempt " not in told
    assert "replayed from deliver" in told
    assert f"Not yet told: crm of prediction.completed (attempts: {attempts})." in told


def test_of_two_tellings_the_last_has_the_count() -> None:
    delivery = {"hook": "crm", "event": "prediction.completed", "state": "delivered", "attempts": 3}
    told = tell(
        prediction(
            Stage.DONE,
            (100, Step.DELIVERED, "crm prediction.completed: 200"),
            (50, Step.REPLAYED, "from deliver"),
            (10, Step.DELIVERED, "crm prediction.completed: 200"),
            finished_at=clock.rfc3339(NOW - 168),
            deliveries=[delivery],
        ),
        NOW,
    )
    assert told.count("attempt") == 1
    assert "crm told of prediction.completed at the 3rd attempt" in told
