"""An endpoint for stories: verifies with the official package, keeps every message, obeys the test."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from standardwebhooks import Webhook, WebhookVerificationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence


@dataclass(frozen=True)
class Message:
    path: str
    id: str
    signature: str
    body: bytes
    status: int
    """Of our answer."""
    verified: bool
    at: float


@dataclass
class Receiver:
    """Answers 204, and what `down` says for its paths; 401 to what no secret verifies."""

    secrets: Sequence[str]
    now: Callable[[], float]
    url: str = ""
    down: dict[str, int] = field(default_factory=dict)
    """Path → status."""
    seen: list[Message] = field(default_factory=list)

    def on(self, path: str) -> list[Message]:
        return [message for message in self.seen if message.path == path]

    def taken(self, path: str) -> list[Message]:
        return [message for message in self.on(path) if message.status == 204]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        verified = any(_holds(secret, headers, body) for secret in self.secrets)
        status = self.down.get(path, 204) if verified else 401
        named = headers.get("webhook-id", ""), headers.get("webhook-signature", "")
        self.seen.append(Message(path, *named, body, status, verified, self.now()))
        return status


def _holds(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


@asynccontextmanager
async def receiving(secrets: Sequence[str], now: Callable[[], float]) -> AsyncIterator[Receiver]:
    """On a free port of loopback; thousands of messages a second, which no framework on one core takes."""
    receiver = Receiver(secrets, now)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                pairs = (line.split(": ", 1) for line in lines if line)
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers["content-length"]))
                status = receiver.take(first.split(" ")[1], headers, body)
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()

    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
