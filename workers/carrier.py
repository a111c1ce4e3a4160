"""Carries out the bulk runs that the API was asked for, each at its own pace beside the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from service import runs
from service.ending import end
from service.errors import LedgerDown, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.ledger import Ledger

log = structlog.get_logger("sweep")

AT_ONCE = 8


class Carrier:
    """`leads`: whoever leads after us goes on where we stop."""

    def __init__(self, ledger: Ledger, leads: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._leads = leads
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def look(self) -> None:
        """Start what was asked for, first come first served. Raises what an earlier one came to."""
        for run_id in [run_id for run_id, task in self._tasks.items() if task.done()]:
            self._tasks.pop(run_id).result()
        for run_id in await self._ledger.runs.asked(AT_ONCE):
            if run_id not in self._tasks:
                self._tasks[run_id] = asyncio.create_task(self._carry(run_id))

    async def stop(self) -> None:
        await end(*self._tasks.values())

    async def _carry(self, run_id: str) -> None:
        try:
            run = await runs.carry_on(self._ledger, run_id, going=self._leads)
            if run.position >= run.total:
                await self._ledger.runs.over(run_id)
                log.info("run.ended", run=run_id, done=run.done, skipped=run.skipped, failed=run.failed)
        except NotFound:
            await self._ledger.runs.over(run_id)
        except LedgerDown as error:
            log.warning("redis.away", error=str(error))
