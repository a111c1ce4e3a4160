"""Leases in hand: renewed together by one heartbeat; whoever lost his is told to stop."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from service.errors import LedgerDown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.ledger import Ledger, PredictionRecord
    from service.prediction import Ref

log = structlog.get_logger("work")

RENEWALS_PER_LEASE = 4


@dataclass(slots=True, eq=False)
class _Held:
    token: str
    task: asyncio.Task[object]
    since: float = field(default_factory=time.monotonic)
    ending: bool = False


class Leases:
    """`seconds` is the length of a lease; it is renewed every quarter of that."""

    def __init__(self, ledger: Ledger, seconds: float) -> None:
        self._ledger = ledger
        self.seconds = seconds
        self._held: dict[Ref, _Held] = {}

    @asynccontextmanager
    async def holding(self, record: PredictionRecord) -> AsyncIterator[None]:
        """Renew the lease of `record` while the block lasts; cancel the block's task when it is lost.

        What the block committed without a lease would be refused anyway: stopping early only saves the work.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a lease is held by a task")
        if older := self._held.get(record.ref):
            # Taken anew by this very process: the older token is void.
            older.task.cancel()
        mine = _Held(record.token, task)
        self._held[record.ref] = mine
        try:
            yield
        finally:
            if self._held.get(record.ref) is mine:
                del self._held[record.ref]

    def held_for(self, ref: Ref) -> float | None:
        """Seconds; None when it is not in hand."""
        held = self._held.get(ref)
        return None if held is None else time.monotonic() - held.since

    def ending(self, ref: Ref) -> None:
        """Its commit is on the way, and may be through when a renewal finds no lease any more."""
        if held := self._held.get(ref):
            held.ending = True

    async def keep(self) -> None:
        """Run beside the jobs, for ever."""
        while True:
            await asyncio.sleep(self.seconds / RENEWALS_PER_LEASE)
            asked = dict(self._held)
            try:
                lost = await self._ledger.predictions.renew(
                    [(ref, held.token) for ref, held in asked.items()], self.seconds
                )
            except LedgerDown as error:
                log.warning("lease.renewal_failed", leases=len(asked), error=str(error))
                continue
            for ref in lost:
                if self._held.get(ref) is asked[ref] and not asked[ref].ending:
                    log.warning("lease.lost", prediction=str(ref))
                    asked[ref].task.cancel()
