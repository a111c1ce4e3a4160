"""Keeps a family of processes alive: starts them, restarts what dies, ends the roles before their server."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.ending import end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

START_TIMEOUT = 30.0
KILL_MARGIN = 5.0
"""Seconds beyond a role's own grace before it is killed."""
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 10.0
STEADY_AFTER = 20.0
"""Seconds after which a child counts as well, and its next death starts the back-off anew."""
_LINE_MOST = 1024 * 1024
_PR_SET_PDEATHSIG = 1


class ChildFailed(Exception):  # noqa: N818  # it names what happened
    """A child refused to start and said why: trying again would not change that."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name} ended with exit code {code} before it was ready")
        self.code = code


@dataclass(slots=True)
class Child:
    """One process to keep: ready when its stderr says so, or at once when `ready` is empty."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: str = ""
    process: asyncio.subprocess.Process | None = None
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)
    deaths: int = 0


class Supervisor:
    """`relay` gets every line of the children's stderr, newline included."""

    def __init__(
        self, children: Sequence[Child], *, relay: Callable[[str, bytes], None], grace: float
    ) -> None:
        self._children = tuple(children)
        self._relay = relay
        self._grace = grace
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Until every child is ready, or late by half a minute. Raises ChildFailed for one that refuses."""
        starting = []
        for child in self._children:
            keeper = asyncio.create_task(self._keep(child), name=child.name)
            self._keepers.append(keeper)
            starting.append(self._until_ready(child, keeper))
        await asyncio.gather(*starting)

    async def _until_ready(self, child: Child, keeper: asyncio.Task[None]) -> None:
        waiting = asyncio.create_task(child.is_ready.wait())
        await asyncio.wait({waiting, keeper}, timeout=START_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if keeper.done():
            await keeper
        if not child.is_ready.is_set() and not self._stopping.is_set():
            # Whatever it waits for (Redis, as a rule), it goes on trying, and so do we.
            self._relay("up", f"{child.name} is not ready yet and keeps trying\n".encode())

    async def watch(self) -> None:
        """Until cancelled: the children are kept by tasks of their own."""
        await asyncio.gather(*self._keepers)

    async def stop(self) -> None:
        """SIGTERM, each with its grace, then SIGKILL for its group: first the roles, then their server."""
        self._stopping.set()
        roles = [child for child in self._children if child.ready]
        servers = [child for child in self._children if not child.ready]
        # The roles drain side by side; what they write to ends after them.
        await asyncio.gather(*(self._end(child) for child in roles))
        for child in servers:
            await self._end(child)
        await end(*self._keepers)

    async def _keep(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        backoff = FIRST_BACKOFF
        while not self._stopping.is_set():
            began = loop.time()
            code = await self._run(child)
            if self._stopping.is_set():
                return
            if code > 0 and not child.is_ready.is_set():
                raise ChildFailed(child.name, code)
            child.deaths += 1
            if loop.time() - began > STEADY_AFTER:
                backoff = FIRST_BACKOFF
            said = f"{child.name} ended with exit code {code}; again in {backoff:g} s\n"
            self._relay("up", said.encode())
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def _run(self, child: Child) -> int:
        child.process = process = await asyncio.create_subprocess_exec(
            *child.command,
            env=dict(child.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            # Of a group of their own, so that Ctrl-C reaches us alone and we decide the order of the end.
            process_group=0,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            limit=_LINE_MOST,
        )
        if not child.ready:
            child.is_ready.set()
        if process.stderr is not None:
            await self._read(child, process.stderr)
        return await process.wait()

    async def _read(self, child: Child, stderr: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stderr.readline()
            except ValueError:
                # A line beyond the limit: the reader has dropped it.
                continue
            if not line:
                return
            if child.ready and line.decode("utf-8", "replace").strip() == child.ready:
                child.is_ready.set()
            self._relay(child.name, line)

    async def _end(self, child: Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self._grace)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def keep_until_signal(supervisor: Supervisor, started: Callable[[], None] | None = None) -> None:
    """Start, watch, and drain at SIGTERM or SIGINT; `started` is called in between. Raises ChildFailed."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)

    async def live() -> None:
        await supervisor.start()
        if started and not stopping.is_set():
            started()
        await supervisor.watch()

    told, living = asyncio.create_task(stopping.wait()), asyncio.create_task(live())
    try:
        await asyncio.wait({told, living}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await supervisor.stop()
        await end(told, living)
    if not living.cancelled():
        living.result()


def to_stderr(_: str, line: bytes) -> None:
    """A relay for families whose lines speak for themselves."""
    sys.stderr.buffer.write(line)
    sys.stderr.buffer.flush()


def _die_with_parent() -> None:
    """Between fork and exec: a killed `up` leaves no family behind. Linux only; elsewhere Ctrl-C does it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
