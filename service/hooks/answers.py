"""What an answer of a hook means for the delivery: delivered, tried again, or dead.

A delivery's schedule of n waits allows n + 1 attempts; which status means what is written in `decide`.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from service.durations import jittered

_GONE = 410
_BUSY = frozenset({429, 503})
_LONGEST_WAIT = 3600.0
"""However long a busy hook asks us to stay away, in seconds."""


class Delivered(NamedTuple):
    pass


class Retry(NamedTuple):
    at: float
    """Seconds since the epoch."""


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
    if status is not None and 200 <= status < 300:  # noqa: PLR2004 - the class of success in HTTP
        return Delivered()
    if status == _GONE:
        return Dead("the hook answered 410, gone", disable=True)
    if attempts > len(schedule):
        failure = error if status is None else f"HTTP {status}"
        return Dead(f"{failure}, after {attempts} attempts", disable=False)
    wait = jittered(schedule[attempts - 1], fraction)
    if status in _BUSY:
        wait = min(max(wait, _asked_wait(retry_after, now)), _LONGEST_WAIT)
    return Retry(now + wait)


def _asked_wait(retry_after: str | None, now: float) -> float:
    """Seconds from a `Retry-After` of either form in RFC 9110; 0 for none, for the past and for nonsense."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        # Thousands of digits are one `inf` for float and an error for int.
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
