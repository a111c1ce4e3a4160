"""What happened when: running totals, kept once a minute, as amounts per slot of time. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from service.prediction import Via

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CALLED_BACK = f"via_{Via.CALLBACK}"
RECOVERED = (f"via_{Via.POLL}", f"via_{Via.RECONCILE}")
"""Completions that no callback told of: a poll or a look at the provider's list found them."""
TOLD, DEAD = "deliveries_delivered", "deliveries_dead"
NAMES = (
    *(f"via_{via}" for via in Via),
    "duplicates",
    "stage_done",
    "stage_failed",
    "stage_expired",
    "stage_dead",
    TOLD,
    DEAD,
    "refused_signature",
)
"""Of the tally, those that are kept by the minute."""
FETCHED, NOT_FETCHED = "fetches_kept", "fetches_failed"
GATHERED = (FETCHED, NOT_FETCHED)
"""Of what processes gather, those that are kept too."""


_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The running totals at an instant (seconds since the epoch)."""

    at: float
    totals: Mapping[str, int]


class Slot(NamedTuple):
    at: float
    """When it begins."""
    seconds: float
    counts: Mapping[str, float]
    """What was added meanwhile; of a name that was not counted, nothing."""
    known: bool
    """False before the first sample: then nobody knows whether nothing happened."""

    def of(self, *names: str) -> float:
        return sum(self.counts.get(name, 0.0) for name in names)


class Fetches(NamedTuple):
    """Attempts to fetch an output, of so many seconds."""

    kept: int
    failed: int
    seconds: float


def fetches(samples: Sequence[Sample]) -> Fetches | None:
    """Since the last sample that is a minute old, else the oldest. `samples`: newest first, the first is now.

    None when there is none to compare with, or one of a version that did not count them.
    """
    now, *earlier = samples
    since = next((one for one in earlier if now.at - one.at >= _MINUTE), earlier[-1] if earlier else now)
    if since is now or NOT_FETCHED not in since.totals:
        return None
    kept, failed = (now.totals.get(name, 0) - since.totals.get(name, 0) for name in GATHERED)
    return Fetches(kept, failed, now.at - since.at)


@dataclass(frozen=True, slots=True)
class Throughput:
    """The last while, in slots of one length, oldest first; the last one is still under way."""

    slots: Sequence[Slot]

    def total(self, *names: str) -> int:
        return round(sum(slot.of(*names) for slot in self.slots))

    @property
    def completions(self) -> int:
        return self.total(*(name for name in NAMES if name.startswith("via_")))

    @property
    def recovered(self) -> int:
        """Callbacks that never came, and whose predictions came in all the same."""
        return self.total(*RECOVERED)


def over(samples: Iterable[Sample], now: float, *, slots: int, seconds: float) -> Throughput:
    """`slots` of `seconds` each, aligned to the clock; the last contains `now`.

    What was added between two samples is spread evenly over the time between them, so that a while without a
    sweeper is no peak at its end. Totals that fell began anew: then all of them were added since.
    """
    ordered = sorted((one for one in samples if one.at <= now), key=lambda one: one.at)
    end = (now // seconds + 1) * seconds
    starts = [end - seconds * (slots - n) for n in range(slots)]
    counts: list[dict[str, float]] = [{} for _ in starts]
    for earlier, later in pairwise(ordered):
        added = _added(earlier.totals, later.totals)
        if added:
            for slot, share in _shares(earlier.at, later.at, starts, seconds):
                for name, n in added.items():
                    counts[slot][name] = counts[slot].get(name, 0.0) + n * share
    first = ordered[0].at if ordered else now
    return Throughput(
        [
            Slot(start, seconds, count, known=start + seconds > first)
            for start, count in zip(starts, counts, strict=True)
        ]
    )


def _added(earlier: Mapping[str, int], later: Mapping[str, int]) -> dict[str, int]:
    # What versions before did not count would seem to begin anew after a minute that one of them kept.
    earlier, later = (
        {name: n for name, n in one.items() if name not in GATHERED} for one in (earlier, later)
    )
    anew = any(later.get(name, 0) < total for name, total in earlier.items())
    added = {name: total - (0 if anew else earlier.get(name, 0)) for name, total in later.items()}
    return {name: n for name, n in added.items() if n > 0}


def _shares(begin: float, end: float, starts: Sequence[float], seconds: float) -> list[tuple[int, float]]:
    """Which slots the time from `begin` to `end` falls into, each with its part of that time."""
    first = max(0, int((begin - starts[0]) // seconds))
    last = min(len(starts) - 1, int((end - starts[0]) // seconds))
    if end <= begin:
        return [(last, 1.0)] if last >= 0 else []
    shares = []
    for slot in range(first, last + 1):
        inside = min(end, starts[slot] + seconds) - max(begin, starts[slot])
        if inside > 0:
            shares.append((slot, inside / (end - begin)))
    return shares
