"""Downloads by one process, whose bytes go nowhere: ours, and what it is made of.

    python -m tests.bench.downloads ours|httpx|aiohttp PORT COUNT AT_ONCE

Prints what it took as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import TYPE_CHECKING

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

from workers.fetch import Limits, open_download
from workers.flight import Flight
from workers.guard import Guard, GuardedSession
from workers.guard.session import CHUNK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Fetch = Callable[[str], Awaitable[int]]
    """A URL to the number of bytes that came."""

_MOST = 1 << 30


@asynccontextmanager
async def ours(at_once: int) -> AsyncIterator[Fetch]:
    guard = Guard(("127.0.0.1",), (ip_network("127.0.0.0/8"),))
    limits, flight = Limits(total=600, idle=15, max_bytes=_MOST), Flight(_MOST, at_once)
    async with GuardedSession(guard, connections=at_once) as session:

        async def fetch(url: str) -> int:
            async with open_download(session, url, limits, flight) as download:
                came = 0
                async for chunk in download:
                    came += len(chunk)
                return came

        yield fetch


@asynccontextmanager
async def with_httpx(at_once: int) -> AsyncIterator[Fetch]:
    transport = AiohttpTransport(client=_session(at_once))
    async with httpx.AsyncClient(
        transport=transport, headers={"accept-encoding": "identity"}, timeout=30
    ) as client:

        async def fetch(url: str) -> int:
            async with client.stream("GET", url) as answer:
                answer.raise_for_status()
                if isinstance(answer.stream, AiohttpResponseStream):
                    answer.stream.CHUNK_SIZE = CHUNK
                came = 0
                async for chunk in answer.aiter_raw():
                    came += len(chunk)
                return came

        yield fetch


@asynccontextmanager
async def with_aiohttp(at_once: int) -> AsyncIterator[Fetch]:
    async with _session(at_once) as session:

        async def fetch(url: str) -> int:
            async with session.get(url, headers={"accept-encoding": "identity"}) as answer:
                answer.raise_for_status()
                came = 0
                async for chunk in answer.content.iter_any():
                    came += len(chunk)
                return came

        yield fetch


def _session(at_once: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=at_once)
    return aiohttp.ClientSession(connector=connector, auto_decompress=False, read_bufsize=CHUNK)


CLIENTS = {"ours": ours, "httpx": with_httpx, "aiohttp": with_aiohttp}


async def run(kind: str, port: int, count: int, at_once: int) -> dict[str, float]:
    async with CLIENTS[kind](at_once) as fetch:
        places = asyncio.Semaphore(at_once)

        async def placed(n: int) -> int:
            async with places:
                return await fetch(f"http://127.0.0.1:{port}/{n}.png")

        # Connections are open for everybody.
        await asyncio.gather(*map(placed, range(at_once)))
        began, cpu = time.perf_counter(), time.process_time()
        size = sum(await asyncio.gather(*map(placed, range(count))))
        return {"bytes": size, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def main() -> None:
    kind, *numbers = sys.argv[1:]
    json.dump(asyncio.run(run(kind, *map(int, numbers))), sys.stdout)


if __name__ == "__main__":
    main()
