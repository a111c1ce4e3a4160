"""An origin for download tests: a real listener on loopback that plays one script per path, byte for byte."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Origin:
    port: int
    scripts: dict[str, Script]
    accepted: int = 0
    requests: list[str] = field(default_factory=list)
    """Raw heads of requests, in order of arrival."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def running(scripts: dict[str, Script] | None = None, host: str = "127.0.0.1") -> AsyncIterator[Origin]:
    """Plays the script of the path asked for; without scripts it is a canary that counts connections."""
    origin = Origin(0, scripts or {})
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        origin.accepted += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                origin.requests.append(head)
                if not (script := origin.scripts.get(head.split(" ")[1])):
                    return
                await script(writer)
                await writer.drain()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(lambda _: writer.close())

    server = await asyncio.start_server(connected, host, 0)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def raw(*parts: bytes, close: bool = True) -> Script:
    """Exactly these bytes, then the connection is closed in good order."""

    async def script(writer: asyncio.StreamWriter) -> None:
        # CPython 3.13.0 never gets rid of an empty part, and then closes nothing.
        writer.writelines([part for part in parts if part])
        await writer.drain()
        if close:
            writer.close()

    return script


def answer(body: bytes = b"", status: int = 200, headers: str = "", *, length: bool = True) -> Script:
    """One ordinary answer. Without a length the body ends with the connection."""
    declared = f"Content-Length: {len(body)}\r\n" if length else ""
    return raw(f"HTTP/1.1 {status} X\r\n{declared}{headers}\r\n".encode(), body, close=not length)


def redirect(location: str, status: int = 302) -> Script:
    return answer(status=status, headers=f"Location: {location}\r\n" if location else "")


def drip(chunk: bytes, pause: float, times: int, head: bytes = b"HTTP/1.1 200 X\r\n\r\n") -> Script:
    """The chunk again and again with a pause after each; then nothing more, on an open connection."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _ in range(times):
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)
        await asyncio.Event().wait()

    return script


def flood(block: bytes, head: bytes = b"") -> Script:
    """The block again and again, as fast as it is taken."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(block)
            await writer.drain()

    return script


def reset(*parts: bytes) -> Script:
    """These bytes, then a TCP reset."""

    async def script(writer: asyncio.StreamWriter) -> None:
        # CPython 3.13.0 never gets rid of an empty part, and then closes nothing.
        writer.writelines([part for part in parts if part])
        await writer.drain()
        # Bytes still under way would be thrown away by the reset.
        await asyncio.sleep(0.05)
        raw_socket: socket.socket = writer.get_extra_info("socket")
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return script
