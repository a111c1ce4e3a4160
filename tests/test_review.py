"""What a decision makes of an output, and for how long it holds: pure."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import InvalidInput
from service.prediction import Disposition, Nsfw
from service.review import Decision, Review
from service.reviewing import BY_MOST, REASON_MOST, Reviewer
from workers.outputs import Output
from workers.review import wanted

APPROVE, REJECT, UNDO = Decision
HELD, RELEASED, REJECTED = Disposition.HELD, Disposition.RELEASED, Disposition.REJECTED
BYTES, OTHER_BYTES = "a" * 64, "b" * 64


def review(decision: Decision, nsfw: Nsfw = Nsfw.UNKNOWN, number: int = 1) -> Review:
    return Review(number, decision, "ada", "", 0.0, nsfw, BYTES)


def output(disposition: Disposition | None, nsfw: Nsfw = Nsfw.UNKNOWN, **more: Any) -> Output:
    fields: dict[str, Any] = {"sha256": BYTES} | more
    return Output(0, nsfw, "https://cdn.example/0.png", disposition, **fields)


@pytest.mark.parametrize(
    ("decision", "before", "after"),
    [
        (APPROVE, HELD, RELEASED),
        (APPROVE, RELEASED, None),
        (REJECT, HELD, REJECTED),
        (REJECT, REJECTED, None),
        (UNDO, RELEASED, HELD),
        (UNDO, REJECTED, HELD),
        (UNDO, HELD, None),
    ],
)
def test_a_decision_is_carried_out_once(
    decision: Decision, before: Disposition, after: Disposition | None
) -> None:
    assert wanted(output(before), review(decision)) is after
    if after is not None:
        assert wanted(output(after), review(decision)) is None


@pytest.mark.parametrize("decision", list(Decision))
@pytest.mark.parametrize(
    "disposition", [None, *(one for one in Disposition if one not in (HELD, RELEASED, REJECTED))]
)
def test_it_makes_nothing_of_what_is_neither_held_nor_decided(
    decision: Decision, disposition: Disposition | None
) -> None:
    assert wanted(output(disposition), review(decision)) is None


@pytest.mark.parametrize("seen", list(Nsfw))
@pytest.mark.parametrize("now", list(Nsfw))
def test_an_approval_ends_with_a_flag_that_is_stricter_than_the_person_knew(seen: Nsfw, now: Nsfw) -> None:
    stricter = now.strictness > seen.strictness
    assert wanted(output(HELD, now), review(APPROVE, seen)) is (None if stricter else RELEASED)
    assert wanted(output(RELEASED, now), review(APPROVE, seen)) is (HELD if stricter else None)


@pytest.mark.parametrize("now", list(Nsfw))
def test_a_rejection_outlasts_every_flag(now: Nsfw) -> None:
    assert wanted(output(HELD, now), review(REJECT, Nsfw.CLEAN)) is REJECTED
    assert wanted(output(REJECTED, now), review(REJECT, Nsfw.CLEAN)) is None


@pytest.mark.parametrize("decision", [APPROVE, REJECT])
def test_a_decision_says_nothing_of_other_bytes(decision: Decision) -> None:
    assert wanted(output(HELD, sha256=OTHER_BYTES), review(decision)) is None


def test_other_bytes_do_not_stay_released() -> None:
    assert wanted(output(RELEASED, sha256=OTHER_BYTES), review(APPROVE)) is HELD


def test_what_is_fetched_again_keeps_the_number_of_its_decision() -> None:
    """The events of the time before are not taken for those of the time after."""
    one = output(RELEASED, decision=3, key="0.png")
    one.reopen()
    assert one == Output(0, Nsfw.UNKNOWN, "https://cdn.example/0.png", decision=3)


@pytest.mark.parametrize("by", ["ada", "x" * BY_MOST, "Zoë 🙂"])
@pytest.mark.parametrize("reason", ["", "y" * REASON_MOST, "没有问题"])
def test_a_reviewer_has_a_name_and_may_have_a_reason(by: str, reason: str) -> None:
    assert (Reviewer(by, reason).by, Reviewer(by).reason) == (by, "")


@pytest.mark.parametrize("text", ["", "x" * (BY_MOST + 1), "a\nb", "\x1b[31m", "\udcff"])
def test_an_odd_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="by"):
        Reviewer(text)


@pytest.mark.parametrize("text", ["y" * (REASON_MOST + 1), "a\nb", "\x00", "\udcff"])
def test_an_odd_reason_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="reason"):
        Reviewer("ada", text)
