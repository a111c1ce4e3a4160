"""A TCP proxy that breaks what passes through: refused, swallowed, reset, delayed, dripped, cut, answered."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from tests.faults.backstage import Backstage

if TYPE_CHECKING:
    from types import TracebackType

CHUNK = 65_536
# Linger for zero seconds: closing sends RST, and the other side's read fails instead of ending.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Kind(StrEnum):
    PASS = "pass"
    REFUSE = "refuse"
    BLACK_HOLE = "black_hole"
    RESET = "reset"
    DELAY = "delay"
    DRIP = "drip"
    CUT = "cut"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Mode:
    kind: Kind
    amount: float = 0.0
    """Seconds, bytes per second, bytes, or a status, as the kind has it."""

    def __str__(self) -> str:
        return f"{self.kind}({self.amount:g})" if self.amount else str(self.kind)


PASS = Mode(Kind.PASS)
REFUSE = Mode(Kind.REFUSE)
"""Closed as soon as accepted."""
BLACK_HOLE = Mode(Kind.BLACK_HOLE)
"""Accepted, read, never answered."""
RESET = Mode(Kind.RESET)
"""A RST where the first bytes of an answer would be."""
UNAVAILABLE = Mode(Kind.ANSWER, HTTPStatus.SERVICE_UNAVAILABLE)
"""HTTP alone: every request is answered 503."""
_ANSWER = "HTTP/1.1 {} {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def answer(status: int) -> Mode:
    """HTTP alone: every request is answered so, and goes no further."""
    return Mode(Kind.ANSWER, status)


def delay(seconds: float) -> Mode:
    """Everything comes so much later, in both directions."""
    return Mode(Kind.DELAY, seconds)


def drip(bytes_per_second: float) -> Mode:
    return Mode(Kind.DRIP, bytes_per_second)


def cut(after: int) -> Mode:
    """Each connection ends after so many bytes of answers."""
    return Mode(Kind.CUT, after)


class _Link:
    """One connection from a client, and ours to the target."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.target: asyncio.StreamWriter | None = None
        self.answered = 0
        """Bytes of answers since the mode was set."""
        self.torn = False
        """Bytes are missing from its stream: nobody may read on as if they were not."""

    def reset(self) -> None:
        if not self.client.is_closing():
            connection = self.client.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        for writer in filter(None, (self.client, self.target)):
            writer.transport.abort()


class FaultProxy:
    """Listens on one loopback port for its whole life; `target` may come, go and move.

    A mode holds for the connections that are open too.
    """

    def __init__(self, target: int = 0, backstage: Backstage | None = None) -> None:
        self.target = target
        self.accepted = 0
        self._own = backstage is None
        self._backstage = backstage or Backstage()
        self._mode = PASS
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server
        self.port = 0

    @property
    def mode(self) -> Mode:
        return self._mode

    def __enter__(self) -> Self:
        if self._own:
            self._backstage.__enter__()
        self._backstage.run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._backstage.run(self._close())
        if self._own:
            self._backstage.__exit__(kind, error, trace)

    def set(self, mode: Mode) -> None:
        """In force on return."""
        self._backstage.call(lambda: self._change(mode))

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for link in list(self._links):
            link.reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _change(self, mode: Mode) -> None:
        self._mode = mode
        for link in list(self._links):
            link.answered = 0
            if link.torn or mode.kind in (Kind.REFUSE, Kind.RESET, Kind.ANSWER):
                link.reset()

    async def _accepted(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(client)
        self._links.add(link)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self._mode.kind is not Kind.REFUSE:
                await self._serve(link, reader)
        finally:
            link.reset()
            self._links.discard(link)
            self._tasks.discard(task)

    async def _serve(self, link: _Link, reader: asyncio.StreamReader) -> None:
        if self._mode.kind is Kind.BLACK_HOLE:
            link.torn = True
            await _swallow(reader)
            return
        if self._mode.kind is Kind.ANSWER:
            status = HTTPStatus(int(self._mode.amount))
            await reader.read(CHUNK)
            link.client.write(_ANSWER.format(status.value, status.phrase).encode())
            link.client.write_eof()
            # Closed on a client that still sends, the answer would be lost to a reset.
            await _swallow(reader)
            return
        try:
            from_target, link.target = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return
        asking = asyncio.create_task(self._pump(link, reader, link.target, answers=False))
        answering = asyncio.create_task(self._pump(link, from_target, link.client, answers=True))
        await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
        if asking.done() and not answering.done() and link.target.can_write_eof():
            # A client that has said all it wants still waits for its answer.
            with contextlib.suppress(OSError):
                link.target.write_eof()
            await asyncio.wait({answering}, timeout=30)
        elif answering.done():
            with contextlib.suppress(OSError):
                link.client.close()
                await link.client.wait_closed()
        for task in (asking, answering):
            task.cancel()
        await asyncio.gather(asking, answering, return_exceptions=True)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._pass_on(link, chunk, writer, answers=answers)

    async def _pass_on(
        self, link: _Link, chunk: bytes, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        mode = self._mode
        match mode.kind:
            case Kind.BLACK_HOLE:
                link.torn = True
                return
            case Kind.RESET if answers:
                link.reset()
                return
            case Kind.DELAY:
                await asyncio.sleep(mode.amount)
            case Kind.DRIP:
                await self._drip(chunk, writer, mode)
                return
            case Kind.CUT if answers:
                room = max(0, int(mode.amount) - link.answered)
                link.answered += len(chunk)
                writer.write(chunk[:room])
                await writer.drain()
                if link.answered >= mode.amount:
                    link.reset()
                return
            case _:
                pass
        writer.write(chunk)
        await writer.drain()

    async def _drip(self, chunk: bytes, writer: asyncio.StreamWriter, mode: Mode) -> None:
        """Until it is through, or until the mode changes: then the rest comes at once."""
        piece = max(1, int(mode.amount / 10))
        for at in range(0, len(chunk), piece):
            if self._mode is not mode:
                writer.write(chunk[at:])
                break
            writer.write(chunk[at : at + piece])
            await asyncio.sleep(piece / mode.amount)
        await writer.drain()


async def _swallow(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(CHUNK):
            pass
