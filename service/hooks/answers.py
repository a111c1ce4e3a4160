"""What an answer of a hook means for the delivery: delivered, tried again, or dead.

A delivery's schedule of n waits allows n + 1 attempts; which status means what is written in `decide`.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from service.durations import jittered

_GONE = 410
_SAID_GONE = "the hook answered 410, gone"
_BUSY = frozenset({429, 503})
_LONGEST_WAIT = 3600.0
"""However long a busy hook asks us to stay away, in seconds."""


class Delivered(NamedTuple):
    pass


class Retry(NamedTuple):
    at: float
    """Seconds since the epoch."""


class Parked(NamedTuple):
    """It waits until its hook takes something, and nothing of its schedule is used up."""


class Dead(NamedTuple):
    reason: str
    disable: bool
    """Whether the hook itself is switched off: it said that it is gone."""


def decide(  # noqa: PLR0917 - the facts of one attempt, in the order in which they are known
    status: int | None,
    error: str,
    retry_after: str | None,
    attempts: int,
    schedule: tuple[float, ...],
    now: float,
    fraction: float,
) -> Delivered | Retry | Dead:
    """What follows from one attempt.

    `status` is None when no answer came, and `error` says why. `attempts` counts the one just made;
    `schedule` and `now` are in seconds; 0 ≤ `fraction` < 1 feeds the jitter.
    """
    if (final := _final(status)) is not None:
        return final
    if attempts > len(schedule):
        return Dead(f"{_failure(status, error)}, after {attempts} attempts", disable=False)
    wait = jittered(schedule[attempts - 1], fraction)
    if status in _BUSY:
        wait = min(max(wait, asked_wait(status, retry_after, now)), _LONGEST_WAIT)
    return Retry(now + wait)


def decide_probe(
    status: int | None, error: str, failing_for: float, schedule: tuple[float, ...]
) -> Delivered | Parked | Dead:
    """What follows from an attempt on a hook whose breaker is open.

    It uses up no attempt: whichever delivery happens to be the probe would be the one to die of it. But it
    has no more time than by its schedule: `failing_for` and all waits of that are seconds.
    """
    if (final := _final(status)) is not None:
        return final
    if failing_for > sum(schedule):
        return Dead(f"{_failure(status, error)}, for {failing_for / 3600:.1f} h", disable=False)
    return Parked()


def _final(status: int | None) -> Delivered | Dead | None:
    """What it means however often it was tried before; None for an answer that leaves that open."""
    if status is not None and 200 <= status < 300:  # noqa: PLR2004 - the class of success in HTTP
        return Delivered()
    return Dead(_SAID_GONE, disable=True) if status == _GONE else None


def _failure(status: int | None, error: str) -> str:
    return error if status is None else f"HTTP {status}"


def asked_wait(status: int | None, retry_after: str | None, now: float) -> float:
    """Seconds for which a busy hook asks us to stay away, an hour at most; 0 for any other answer.

    `Retry-After` has either form of RFC 9110; none, the past and nonsense ask for nothing.
    """
    text = (retry_after or "").strip()
    if status not in _BUSY:
        return 0.0
    if text.isascii() and text.isdigit():
        # Thousands of digits are one `inf` for float and an error for int.
        return min(float(text), _LONGEST_WAIT)
    try:
        date = parsedate_to_datetime(text)
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, wait), _LONGEST_WAIT)
