"""A hook's attempts hour by hour: how many, how they failed, and how long they took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HOUR = 3600
SHOWN = 48
"""Hours."""
TOOK, FAILED, MS = "took:", "failed:", "ms"
"""Names of the counts, as `delivered.lua` writes them."""


@dataclass(frozen=True, slots=True)
class Hour:
    at: float
    """Its beginning, in seconds since the epoch."""
    took: Mapping[int, int] = field(default_factory=dict)
    """Attempts by the upper end, in milliseconds, of the step in which they ended."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Failed attempts by the word for their trouble."""
    ms: int = 0
    """Of all attempts together."""

    @classmethod
    def load(cls, at: float, counts: Mapping[str, str]) -> Hour:
        """Counts that only a newer version knows are left out."""
        took = {int(name.removeprefix(TOOK)): int(n) for name, n in counts.items() if name.startswith(TOOK)}
        failed = {name.removeprefix(FAILED): int(n) for name, n in counts.items() if name.startswith(FAILED)}
        return cls(at, took, failed, int(counts.get(MS, 0)))

    @property
    def attempts(self) -> int:
        return sum(self.took.values())

    @property
    def failures(self) -> int:
        return sum(self.failed.values())

    @property
    def delivered(self) -> int:
        return max(0, self.attempts - self.failures)

    @property
    def health(self) -> str:
        """`idle` without attempts; else `good`, `mixed`, or `bad` when none succeeded."""
        if not self.attempts:
            return "idle"
        if not self.failures:
            return "good"
        return "mixed" if self.delivered else "bad"

    @property
    def mean_ms(self) -> int | None:
        return round(self.ms / self.attempts) if self.attempts else None

    def within_ms(self, share: float) -> int | None:
        """Milliseconds within which at least this share (0 to 1) of the attempts ended; a rough step."""
        passed, wanted = 0, share * self.attempts
        for limit, count in sorted(self.took.items()):
            passed += count
            if passed >= wanted:
                return limit
        return None

    def troubles(self) -> list[tuple[str, int]]:
        """Most frequent first."""
        return sorted(self.failed.items(), key=lambda one: (-one[1], one[0]))


def total(hours: Iterable[Hour]) -> Hour:
    """All of them as one that begins with the first."""
    listed = list(hours)
    took: Counter[int] = Counter()
    failed: Counter[str] = Counter()
    for hour in listed:
        took.update(hour.took)
        failed.update(hour.failed)
    return Hour(listed[0].at if listed else 0.0, took, failed, sum(hour.ms for hour in listed))
