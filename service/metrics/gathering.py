"""Durations and counts of one process on their way to the ledger: written together, every few seconds.

Nothing is asked of Redis per callback or per download for them. Who is killed loses what it gathered since
it wrote last: samples of how long things took, and never a count of what became of them. What Redis could not
take is written later, and when only its answer was lost, twice.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from service.errors import LedgerDown

if TYPE_CHECKING:
    from service.ledger.measuring import Measuring

log = structlog.get_logger("metrics")

WRITE_EVERY = 5.0
SUM, MORE = "sum", "+Inf"

BOUNDS: dict[str, tuple[float, ...]] = {
    "callback": (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    "fetch": (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600),
    "delivery": (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
}
"""Histogram → upper bounds of its buckets in seconds. A version with others adds buckets."""

NOT_WRITTEN, FULL = "callbacks_not_written", "callbacks_full"
STORAGE_FAILED = "storage_failed"
KEPT, FAILED = "kept", "failed"
"""Labels of fetches."""
FETCHES = "fetches_"
"""Before such a label: how many there have been."""


class Gathering:
    def __init__(self, measuring: Measuring) -> None:
        self._measuring = measuring
        self._counts: Counter[str] = Counter()
        self._fields: dict[tuple[str, str], tuple[list[str], str]] = {}

    def observe(self, histogram: str, seconds: float, label: str = "") -> None:
        """One sample of a histogram in BOUNDS; `label` is one of few words, never an id."""
        known = self._fields.get((histogram, label))
        if known is None:
            known = self._fields[histogram, label] = _fields(histogram, label)
        buckets, total = known
        self._counts[buckets[bisect_left(BOUNDS[histogram], seconds)]] += 1
        self._counts[total] += round(seconds * 1e6)

    def count(self, name: str, n: int = 1) -> None:
        self._counts[name] += n

    async def keep_writing(self) -> None:
        """Until cancelled, through outages; that Redis is away is said by the beat beside us."""
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await self._write()

    async def put_away(self) -> None:
        """Write what is left, at the end."""
        if not await self._write():
            log.warning("metrics.not_written", samples=len(self._counts))

    async def _write(self) -> bool:
        counts, self._counts = self._counts, Counter()
        if not counts:
            return True
        try:
            await self._measuring.add(counts)
        except LedgerDown:
            self._counts.update(counts)
            return False
        except asyncio.CancelledError:
            # Written twice is better than not at all: a stop comes in the middle of this.
            self._counts.update(counts)
            raise
        return True


def _fields(histogram: str, label: str) -> tuple[list[str], str]:
    bounds = [f"{bound:g}" for bound in BOUNDS[histogram]]
    return [f"{histogram}|{label}|{le}" for le in (*bounds, MORE)], f"{histogram}|{label}|{SUM}"
