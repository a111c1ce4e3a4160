"""The asyncio side of the concurrent worker: many jobs on one loop, taken as places become free."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog

from service.ending import end
from service.errors import LedgerDown
from service.queues import JOB_TIMEOUT
from workers.worker import BEAT_EVERY, GONE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from workers.worker import ConcurrentWorker, Taken

P = ParamSpec("P")
T = TypeVar("T")

TAKE_MOST = 64
TAKE_WAIT = 1.0
"""Seconds that an empty take waits, and so the longest that a stop is not noticed."""
RECONNECT_EVERY = 1.0
HAND_BACK = 3.0
"""Seconds that a cancelled job has to hand back what it holds before it is cancelled once more."""

log = structlog.get_logger("work")


class Loop:
    """Runs `functions[name](*args)` for every job, `concurrency` at a time."""

    def __init__(
        self,
        worker: ConcurrentWorker,
        functions: Mapping[str, Callable[..., Awaitable[None]]],
        concurrency: int,
    ) -> None:
        self._worker = worker
        self._functions = functions
        self._concurrency = concurrency
        self._running: dict[asyncio.Task[None], Taken] = {}
        self._finished: list[Taken] = []
        self._finishing = asyncio.Event()
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        # One thread takes and one keeps the books: a blocking take must not hold up a heartbeat.
        self._taker = ThreadPoolExecutor(1, "rq-take")
        self._books = ThreadPoolExecutor(1, "rq-books")

    @property
    def running(self) -> int:
        """Jobs in flight."""
        return len(self._running)

    def stop(self) -> None:
        """Take nothing more."""
        self._stopping.set()
        self._changed.set()

    async def run(self, grace: float) -> None:
        """Until stopped. Jobs in flight then have `grace` seconds before they are cancelled, to hand back."""
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(self._beat()), group.create_task(self._finish())]
                try:
                    await self._pump()
                finally:
                    await self._drain(grace)
                    await end(*beside)
            await self._settle()
        finally:
            self._taker.shutdown(wait=False, cancel_futures=True)
            self._books.shutdown(wait=True)

    async def _pump(self) -> None:
        while places := await self._free_places():
            try:
                taken = await self._in(self._taker, self._worker.take, places, TAKE_WAIT)
            except GONE as error:
                log.warning("redis.away", error=str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), RECONNECT_EVERY)
                continue
            for one in taken:
                task = asyncio.create_task(self._run(one))
                self._running[task] = one
                task.add_done_callback(self._ended)

    async def _free_places(self) -> int:
        """How many jobs to take next, once there is a place for one; 0 at a stop."""
        while not self._stopping.is_set():
            if places := self._concurrency - len(self._running):
                return min(places, TAKE_MOST)
            self._changed.clear()
            await self._changed.wait()
        return 0

    async def _run(self, one: Taken) -> None:
        try:
            async with asyncio.timeout(JOB_TIMEOUT):
                await self._functions[one.function](*one.args)
        except LedgerDown as error:
            log.warning("redis.away", job=one.job.id, error=str(error))
            self._close(one)
        except Exception as error:
            # The job edge: a bug is the job's failure, kept with its traceback, and never the worker's end.
            log.exception("job.failed", job=one.job.id)
            with contextlib.suppress(*GONE):
                await self._in(self._books, self._worker.fail, one, error)
        else:
            self._close(one)

    def _ended(self, task: asyncio.Task[None]) -> None:
        one = self._running.pop(task)
        if task.cancelled():
            # Handed back, or taken over: the ledger rings it again under another job.
            self._close(one)
        self._changed.set()

    def _close(self, one: Taken) -> None:
        self._finished.append(one)
        self._finishing.set()

    async def _finish(self) -> None:
        while True:
            await self._finishing.wait()
            self._finishing.clear()
            await self._settle()

    async def _settle(self) -> None:
        """Write down what finished since the last time; what cannot be written waits for the next beat."""
        done, self._finished = self._finished, []
        if done:
            try:
                await self._in(self._books, self._worker.finish, done)
            except GONE as error:
                log.warning("redis.away", error=str(error), unfinished=len(done))
                self._finished += done

    async def _beat(self) -> None:
        while True:
            try:
                await self._in(self._books, self._worker.beat, list(self._running.values()))
                await self._in(self._books, self._worker.tidy)
            except GONE as error:
                log.warning("redis.away", error=str(error))
            else:
                self._finishing.set()
            await asyncio.sleep(BEAT_EVERY)

    async def _drain(self, grace: float) -> None:
        if self._running:
            log.info("draining", jobs=len(self._running), grace=grace)
            await asyncio.wait(list(self._running), timeout=grace)
        await end(*self._running, again_after=HAND_BACK)

    async def _in(
        self, pool: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        call = asyncio.get_running_loop().run_in_executor(pool, lambda: function(*args, **kwargs))
        # A stop may cancel whoever waits for it, and what it was to write down is written all the same.
        return await asyncio.shield(call)
