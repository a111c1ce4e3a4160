"""A stranger on a real socket: what he sends, what comes back, and what Redis holds of it afterwards."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import redis

from service import keys
from service.web.server import DeadlineProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable

_WITHIN = 8.0
"""Seconds: what the server's deadlines below come to, with time to spare for a busy machine."""
BODY_DEADLINE = 0.5


class Impatient(DeadlineProtocol):
    """Its connections end by themselves within a second, so that all that comes back can be read."""

    header_deadline = 0.5

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
        self.timeout_keep_alive = 0.5  # type: ignore[assignment]  # uvicorn's own type is whole seconds
        super().connection_made(transport)


async def exchange(port: int, *parts: bytes) -> bytes:
    """All that comes back for these bytes until the connection ends. Raises TimeoutError when it does not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        async with asyncio.timeout(_WITHIN):
            with suppress(ConnectionError):
                writer.writelines(parts)
                await writer.drain()
            with suppress(ConnectionError):
                while piece := await reader.read(65_536):
                    received += piece
    finally:
        writer.close()
    return received


async def exchange_all(port: int, requests: Iterable[bytes], at_once: int = 100) -> list[bytes]:
    """Each on a connection of its own."""
    free = asyncio.Semaphore(at_once)

    async def one(request: bytes) -> bytes:
        async with free:
            return await exchange(port, request)

    return await asyncio.gather(*map(one, requests))


def statuses(answer: bytes) -> str:
    """`200+404` for two answers, `-` for none."""
    return b"+".join(re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)).decode() or "-"


def contents(redis_url: str) -> dict[bytes, bytes]:
    """Every key with its value, but those that time alone changes, and the account of who was turned away."""
    with redis.Redis.from_url(redis_url) as client:
        found = {name: client.dump(name) for name in client.scan_iter()}
    # Refused callbacks are counted and a few of them kept: of a bounded size, and nothing of their bodies.
    counted = (keys.REFUSED, keys.TALLY, keys.MEASURED, keys.SEQUENCE)
    left_out = tuple(name.encode() for name in (keys.ROLE, keys.ROLES, keys.PROBE, keys.SCHEMA, *counted))
    return {name: value for name, value in found.items() if value and not name.startswith(left_out)}
