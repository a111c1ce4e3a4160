"""What the tests of the provider's client share: its shapes, and a listener that plays any bytes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

KEY = "wsk-very-secret"
MODEL = "wavespeed-ai/instant-character"
DONE = {
    "id": "pred_123",
    "model": MODEL,
    "status": "completed",
    "outputs": ["https://static.wavespeed.ai/1.png"],
    "has_nsfw_contents": [False],
    "urls": {"get": "https://elsewhere.example/predictions/pred_123"},
}


def envelope(data: object) -> dict[str, Any]:
    return {"code": 200, "message": "success", "data": data}


def only_request(httpserver: HTTPServer) -> Request:
    ((request, _),) = httpserver.log
    return request


@dataclass
class Raw:
    """A listener that plays whatever bytes a test wants, and counts what reached it."""

    url: str = ""
    requests: int = 0


@asynccontextmanager
async def raw(*answers: bytes, pause: float = 0) -> AsyncIterator[Raw]:
    """Each request on a connection gets the next answer; after the last one the connection is closed."""
    seen = Raw()
    left = list(answers)
    tasks: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while left and await reader.readuntil(b"\r\n\r\n"):
                seen.requests += 1
                writer.write(left.pop(0))
                await writer.drain()
                await asyncio.sleep(pause)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(play(reader, writer)))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        seen.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield seen
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(body: bytes, more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body
