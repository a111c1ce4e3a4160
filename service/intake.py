"""The one door: callbacks, polls, reconciliation, tracking and submissions are accepted here, in batches.

Group commit: an arrival joins the batch that is gathering and awaits it; what has gathered while the batch
before was written goes as one script, so that one fsync serves all. A lone arrival waits for nobody.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service import clock, failpoints
from service.errors import LedgerDown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger import Arrival, Ledger, Outcome

BATCH = 256
BATCH_BYTES = 16 * 1024 * 1024
"""A batch is one command: a few large callbacks must not make it longer than Redis likes."""
ANSWER_WITHIN = 1.5
"""Seconds. A receiver answers 503 within two, however many batches stand before a Redis that is silent."""


class _Batch:
    def __init__(self) -> None:
        self.arrivals: list[Sequence[bytes]] = []
        self.size = 0
        self.awaited_by = 0

    def takes(self, size: int) -> bool:
        return not self.arrivals or (len(self.arrivals) < BATCH and self.size + size <= BATCH_BYTES)

    def add(self, encoded: Sequence[bytes], size: int) -> int:
        """Its place in the batch."""
        self.arrivals.append(encoded)
        self.size += size
        return len(self.arrivals) - 1


class Intake:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._gathering: _Batch | None = None
        self._last: asyncio.Task[list[Outcome | LedgerDown]] | None = None

    async def accept(self, arrival: Arrival) -> Outcome:
        """Durable on return.

        Raises LedgerDown: then it may or may not have been written, and coming again is safe.
        """
        # Encoded before it joins: what cannot be encoded is its own caller's bug, not the batch's.
        encoded = arrival.encoded(clock.now())
        batch, written = self._open(size := sum(map(len, encoded)))
        place = batch.add(encoded, size)
        batch.awaited_by += 1
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                outcome = (await asyncio.shield(written))[place]
        except TimeoutError:
            raise LedgerDown(f"Redis did not answer within {ANSWER_WITHIN:g} s", retry_after=1) from None
        finally:
            batch.awaited_by -= 1
        if isinstance(outcome, LedgerDown):
            # Anew for each, as a traceback grows with every raise.
            raise type(outcome)(str(outcome), outcome.retry_after)
        return outcome

    async def accept_all(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        return await asyncio.gather(*(self.accept(arrival) for arrival in arrivals))

    async def drained(self) -> None:
        """Wait until everything that came in has been answered."""
        while self._last is not None and not self._last.done():
            await asyncio.wait({self._last})

    def _open(self, size: int) -> tuple[_Batch, asyncio.Task[list[Outcome | LedgerDown]]]:
        """The batch that is gathering, or a new one behind it when there is none or it is full."""
        if self._gathering is None or self._last is None or not self._gathering.takes(size):
            self._gathering = _Batch()
            self._last = asyncio.create_task(self._flush(self._gathering, self._last))
        return self._gathering, self._last

    async def _flush(
        self, batch: _Batch, before: asyncio.Task[list[Outcome | LedgerDown]] | None
    ) -> list[Outcome | LedgerDown]:
        if before is not None:
            await asyncio.wait({before})
        if self._gathering is batch:
            self._gathering = None
        if not batch.awaited_by:
            # Everybody has been answered 503 and will come again: an outage must not leave a queue here.
            return []
        await failpoints.reach("accept.before_write")
        try:
            outcomes = await self._ledger.predictions.write(batch.arrivals)
        except LedgerDown as error:
            return [error] * len(batch.arrivals)
        await failpoints.reach("accept.after_write")
        return outcomes
