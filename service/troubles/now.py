"""All that is worth looking at now: what is wrong, and what came through lately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service import throughput
from service.troubles.gathering import gather
from service.troubles.judging import judge
from service.troubles.trouble import healthy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger import Ledger
    from service.settings import Settings
    from service.throughput import Throughput
    from service.troubles.facts import Facts
    from service.troubles.trouble import Trouble

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Now:
    facts: Facts
    troubles: Sequence[Trouble]
    throughput: Throughput

    @property
    def healthy(self) -> bool:
        return healthy(self.troubles)


async def look(ledger: Ledger, settings: Settings, *, slots: int = 60, minutes: int = 1) -> Now:
    """With the throughput in so many slots of so many minutes. Raises LedgerDown."""
    facts = await gather(ledger, settings)
    # One more than the slots hold: what was added in the first of them has a beginning.
    samples = await ledger.history.last(slots * minutes + 1, minutes)
    return Now(
        facts,
        judge(facts),
        throughput.over(samples, samples[0].at, slots=slots, seconds=minutes * MINUTE),
    )
