"""A hook's failure budget: how much of the time that its deliveries have is spent, and when to say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

THRESHOLDS = (50, 90, 100)
"""Per cent. At the last one the first deliveries begin to be dead."""


class Outage(NamedTuple):
    since: str
    """When the first attempt failed after which none succeeded, as it stands in the ledger."""
    seconds: float
    """For how long that is now."""
    noticed: int
    """The highest threshold that was told of, 0 for none."""


def budget(schedule: Sequence[float]) -> float:
    """Seconds: a delivery that fails from now on has all waits of the schedule."""
    return sum(schedule)


def due(outage: Outage, schedule: Sequence[float]) -> list[int]:
    """The thresholds that are passed and were not told of yet."""
    whole = budget(schedule)
    return [
        percent
        for percent in THRESHOLDS
        if percent > outage.noticed and outage.seconds >= whole * percent / 100
    ]
