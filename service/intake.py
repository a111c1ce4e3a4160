"""The one door: callbacks, polls, reconciliation, tracking and submissions are accepted here, in batches.

Group commit: an arrival joins the batch that is gathering and awaits it; what has gathered while the batch
before was written goes as one script, so that one fsync serves all. A lone arrival waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from service import clock, failpoints, tracing
from service.errors import LedgerDown
from service.tracing import telling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.ledger import Arrival, Ledger, Outcome

BATCH = 256
BATCH_BYTES = 16 * 1024 * 1024
"""A batch is one command: a few large callbacks must not make it longer than Redis likes."""
ANSWER_WITHIN = 1.2
"""Seconds. A receiver answers 503 within two, however many batches stand before a Redis that is silent, and
however busy its machine is with answering all the others.
"""

SLICE = 16
"""So many are answered in one turn of the loop. Their senders' next callbacks then go to Redis while the
others are answered; all in one turn, and the two would work by turns, each waiting for the other."""

_NOT_WRITTEN = LedgerDown("nobody waits for it any more", retry_after=1)


class _Batch:
    """What goes to the ledger as one script, and who waits for it."""

    def __init__(self) -> None:
        self.arrivals: list[bytes] = []
        self.waiting: list[asyncio.Future[Outcome]] = []
        self.size = 0
        self.late = False
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def takes(self, size: int) -> bool:
        return len(self.arrivals) < BATCH and self.size + size <= BATCH_BYTES

    def add(self, encoded: bytes, waiting: asyncio.Future[Outcome]) -> None:
        self.arrivals.append(encoded)
        self.size += len(encoded)
        self.waiting.append(waiting)

    def settle(self, task: asyncio.Task[Sequence[Outcome | LedgerDown]]) -> None:
        """Everybody gets the outcome of his own, or what the task came to."""
        if task.cancelled():
            for waiting in self.waiting:
                waiting.cancel()
            self.answered.set_result(None)
        elif bug := task.exception():
            self._fail(lambda: bug)
            self.answered.set_result(None)
        else:
            self._settle(deque(zip(self.waiting, task.result(), strict=True)))

    def _settle(self, waiting: deque[tuple[asyncio.Future[Outcome], Outcome | LedgerDown]]) -> None:
        for _ in range(min(SLICE, len(waiting))):
            one, outcome = waiting.popleft()
            if one.done():
                continue
            if isinstance(outcome, LedgerDown):
                one.set_exception(_anew(outcome))
            else:
                one.set_result(outcome)
        if waiting:
            asyncio.get_running_loop().call_soon(self._settle, waiting)
        else:
            self.answered.set_result(None)

    def give_up(self) -> None:
        """All of it at once: who joined last has waited less, and comes again as well."""
        self.late = True
        self._fail(lambda: LedgerDown(f"Redis did not answer within {ANSWER_WITHIN:g} s", retry_after=1))

    def _fail(self, error: Callable[[], BaseException]) -> None:
        for waiting in self.waiting:
            if not waiting.done():
                waiting.set_exception(error())


def _anew(error: LedgerDown) -> LedgerDown:
    """For each of those who get it: a traceback grows with every raise."""
    return type(error)(str(error), error.retry_after)


class Intake:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tracer = tracing.tracer()
        self._gathering: _Batch | None = None
        self._last: asyncio.Task[Sequence[Outcome | LedgerDown]] | None = None
        self._unanswered: set[asyncio.Future[None]] = set()

    async def accept(self, arrival: Arrival) -> Outcome:
        """Durable on return.

        Raises LedgerDown: then it may or may not have been written, and coming again is safe.
        """
        # Encoded before it joins: what cannot be encoded is its own caller's bug, not the batch's.
        now = clock.now()
        encoded = arrival.encoded(now)
        waiting: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._open(len(encoded)).add(encoded, waiting)
        if self._tracer is None:
            return await waiting
        outcome = await waiting
        telling.queued(self._tracer, arrival, outcome, now)
        return outcome

    async def accept_all(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        return await asyncio.gather(*(self.accept(arrival) for arrival in arrivals))

    async def drained(self) -> None:
        """Wait until everything that came in has been answered."""
        while self._unanswered:
            await asyncio.wait(self._unanswered)

    def _open(self, size: int) -> _Batch:
        """The batch that is gathering, or a new one behind it when there is none or it is full."""
        batch = self._gathering
        if batch is None or batch.late or not batch.takes(size):
            batch = self._gathering = _Batch()
            self._unanswered.add(batch.answered)
            batch.answered.add_done_callback(self._unanswered.discard)
            # One timer for all of a batch: it is the batch that is late.
            timer = asyncio.get_running_loop().call_later(ANSWER_WITHIN, batch.give_up)
            self._last = asyncio.create_task(self._flush(batch, self._last))
            self._last.add_done_callback(batch.settle)
            self._last.add_done_callback(lambda _: timer.cancel())
        return batch

    async def _flush(
        self, batch: _Batch, before: asyncio.Task[Sequence[Outcome | LedgerDown]] | None
    ) -> Sequence[Outcome | LedgerDown]:
        if before is not None and not before.done():
            await asyncio.wait({before})
        if self._gathering is batch:
            self._gathering = None
        if all(waiting.done() for waiting in batch.waiting):
            # Everybody has been answered 503 and will come again: an outage must not leave a queue here.
            return [_NOT_WRITTEN] * len(batch.waiting)
        await failpoints.reach("accept.before_write")
        try:
            outcomes = await self._ledger.predictions.write(batch.arrivals)
        except LedgerDown as error:
            return [error] * len(batch.arrivals)
        await failpoints.reach("accept.after_write")
        return outcomes
