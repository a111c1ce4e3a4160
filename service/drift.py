"""Drift: how the provider's list and the ledger differ, counted over one look at the list. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from service import clock
from service.prediction import Stage, Verdict, Via

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NUMBERS = {
    "listed": "the provider lists them since then",
    "seen": "of those, known here, and nothing is owed",
    "missing": "of those, never heard of before: adopted now",
    "late": "of those, ended there and still awaited here: the next poll brings them",
    "output_expired": "of all, known here and the outputs were gone before they could be fetched",
    "never_called_back": "of all, ended, and it took a poll or this look to learn so: no callback did",
}
"""Each number of a report, and what it counts. listed = seen + missing + late."""
QUERIES = {"missing": "via:reconcile", "late": "stage:awaited", "output_expired": "stage:expired"}
"""What `catchlight ls` shows them with."""

_FOUND_BY_US = frozenset((Via.POLL, Via.RECONCILE))


class Standing(NamedTuple):
    """Where a prediction stands in the ledger."""

    stage: Stage | str
    via: Via | str | None
    """How its completion came; None while it is awaited."""


@dataclass(slots=True)
class Drift:
    """Of one source, since an instant (seconds since the epoch)."""

    source: str
    since: float
    at: float
    """When the look began."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NUMBERS, 0))

    def note(self, verdict: Verdict, standing: Standing | None) -> None:
        """One listed prediction: what the provider says of it, and where it stood here before this look."""
        for name in _classes(verdict, standing):
            self.counts[name] += 1

    @property
    def missing(self) -> int:
        return self.counts["missing"]

    def public(self) -> dict[str, Any]:
        """As `reconcile --json` and `status --json` show it; `adopted` is the same as `missing`."""
        return {
            "source": self.source,
            "at": clock.rfc3339(self.at),
            "since": clock.rfc3339(self.since),
            **self.counts,
            "adopted": self.missing,
        }


def summed(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of several sources together, since the earliest of their instants."""
    names = (*NUMBERS, "adopted")
    return {"since": min(one["since"] for one in reports)} | {
        name: sum(one[name] for one in reports) for name in names
    }


def _classes(verdict: Verdict, standing: Standing | None) -> Iterable[str]:
    ended = verdict is not Verdict.PENDING
    yield "listed"
    if standing is None:
        yield "missing"
        if ended:
            yield "never_called_back"
        return
    yield "late" if ended and standing.stage == Stage.AWAITED else "seen"
    if standing.stage == Stage.EXPIRED:
        yield "output_expired"
    if standing.via in _FOUND_BY_US:
        yield "never_called_back"
