"""Callbacks that were turned away, gathered here and written to the ledger together, at most once per second.

A flood of forged ones must cost Redis and the disk next to nothing and delay no genuine one: a few of each
reason are kept and logged, all are counted. What Redis cannot take now waits here, in the same bounded space.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter, deque
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from service.errors import LedgerDown
from service.ledger.refusals import Batch, RefusedCallback
from service.web.sparing import Sparing

if TYPE_CHECKING:
    from service.ledger.refusals import Refusals
    from service.refusals import RefusedFor

log = structlog.get_logger("receiver")

WRITE_EVERY = 1.0
SAMPLE = 10
"""Of each reason, between two writes: a flood of one kind must not hide the others."""
LINES = 5
"""In the log, of each reason, per second."""


class TurnedAway:
    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._process = uuid.uuid4().hex
        self._number = 0
        self._counts: Counter[RefusedFor | str] = Counter()
        self._sample: dict[RefusedFor | str, deque[RefusedCallback]] = {}
        self._unwritten: Batch | None = None
        self._sparing = Sparing(LINES, 1.0)
        self._news = asyncio.Event()

    def note(self, one: RefusedCallback) -> None:
        """Waits for nothing."""
        self._counts[one.reason] += 1
        self._sample.setdefault(one.reason, deque(maxlen=SAMPLE)).append(one)
        if self._sparing.admits(one.reason, time.monotonic()):
            told = {"source": one.source, "reason": one.reason, "why": one.why, "address": one.address}
            log.warning("callback.refused", **told)
        self._news.set()

    async def keep_writing(self) -> None:
        """Until cancelled, through outages."""
        while True:
            await self._news.wait()
            self._news.clear()
            self._sum_up()
            # That Redis is away is said by the beat beside us.
            with suppress(LedgerDown):
                await self._write()
            if self._is_left():
                self._news.set()
            await asyncio.sleep(WRITE_EVERY)

    async def put_away(self) -> None:
        """Write what is left, at the end."""
        self._sum_up()
        try:
            while self._is_left():
                await self._write()
        except LedgerDown as error:
            log.warning("refused.not_written", error=str(error), **self._counted())

    async def _write(self) -> None:
        """One batch, the one before as long as nobody knows whether it is written. Raises LedgerDown."""
        if self._unwritten is None:
            self._unwritten = self._taken()
        await self._refusals.write(self._unwritten)
        self._unwritten = None

    def _taken(self) -> Batch:
        self._number += 1
        sample = sorted((one for few in self._sample.values() for one in few), key=lambda one: one.at)
        batch = Batch(self._process, self._number, self._counts, sample)
        self._counts, self._sample = Counter(), {}
        return batch

    def _is_left(self) -> bool:
        return bool(self._unwritten or self._counts)

    def _counted(self) -> dict[str, int]:
        """What is not known to be written."""
        counts = self._counts + Counter(self._unwritten.counts if self._unwritten else {})
        return {str(reason): n for reason, n in counts.items()}

    def _sum_up(self) -> None:
        for reason, more in self._sparing.take_left_out().items():
            log.warning("callback.refused", reason=reason, more=more)
