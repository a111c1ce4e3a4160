"""The same work for every peer, in the fastest plain way: verify a callback; fetch and keep an output.

Imported from the peers' own environments, so it needs nothing of ours.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SECRET = os.environ.get("PEER_SECRET", "")
REDIS = os.environ.get("PEER_REDIS", "")
OUT = os.environ.get("PEER_OUT", "")
SEEN_FOR = 7 * 86_400
TOLERANCE = 300


def verified(headers: Any, body: bytes) -> bool:
    id_, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    key = SECRET.removeprefix("whsec_").encode()
    expected = "v3," + hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, "sha256").hex()
    return hmac.compare_digest(expected, headers["webhook-signature"])


def receiver(
    enqueue: Callable[[str, str], Awaitable[object]],
    opened: Callable[[], Awaitable[object]] | None = None,
) -> Any:
    """A Starlette app: `enqueue` gets a prediction's id and the body of its callback, once per id."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        if opened is not None:
            await opened()
        yield

    async def callback(request: Any) -> Any:
        body = await request.body()
        if not verified(request.headers, body):
            return JSONResponse({"reason": "signature"}, 401)
        said = json.loads(body)
        await enqueue(said["id"], body.decode())
        return JSONResponse({"id": said["id"], "outcome": "new"})

    return Starlette(routes=[Route("/webhooks/wavespeed", callback, methods=["POST"])], lifespan=lifespan)


def serve(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(app, port=port, http="httptools", log_level="warning", access_log=False)


def keep(id_: str, chunks: Any) -> None:
    """Hash, write, fsync, rename: whole at its name or not there."""
    digest = hashlib.sha256()
    temporary, place = f"{OUT}/.{id_}.part", f"{OUT}/{id_}.jpg"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        for chunk in chunks:
            digest.update(chunk)
            os.write(descriptor, chunk)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, place)
    folder = os.open(OUT, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def url_in(body: str) -> tuple[str, str]:
    said = json.loads(body)
    return said["id"], said["outputs"][0]


class Fetching:
    """For workers on a loop: one aiohttp session, files kept in threads."""

    def __init__(self, connections: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections), auto_decompress=False
        )
        self._threads = ThreadPoolExecutor(16)

    async def fetch(self, body: str) -> None:
        import asyncio

        id_, url = url_in(body)
        async with self._session.get(url, headers={"accept-encoding": "identity"}) as answer:
            answer.raise_for_status()
            chunks = [chunk async for chunk in answer.content.iter_any()]
        await asyncio.get_running_loop().run_in_executor(self._threads, keep, id_, chunks)

    async def close(self) -> None:
        await self._session.close()


_local = threading.local()


def fetch_in_thread(body: str) -> None:
    """For workers with threads: one urllib3 pool for each."""
    import urllib3

    id_, url = url_in(body)
    if not hasattr(_local, "pool"):
        _local.pool = urllib3.PoolManager(maxsize=4)
    answer = _local.pool.request("GET", url, preload_content=False, headers={"accept-encoding": "identity"})
    if answer.status != 200:
        raise RuntimeError(f"the origin answered {answer.status}")
    keep(id_, answer.stream(65_536, decode_content=False))
    answer.release_conn()


def first_time(connection: Any, id_: str) -> bool:
    """With a plain Redis client: the deduplication of those that have none of their own."""
    return bool(connection.set(f"seen:{id_}", 1, nx=True, ex=SEEN_FOR))


def play(put: Callable[[str, str], object], work: Callable[[str], object]) -> None:
    """The roles of a library that blocks: `put` enqueues, in a thread; `work` gets the role's name."""

    async def enqueue(id_: str, body: str) -> None:
        from starlette.concurrency import run_in_threadpool

        await run_in_threadpool(put, id_, body)

    role, *rest = sys.argv[1:]
    if role == "serve":
        serve(receiver(enqueue), int(rest[0]))
    elif role == "fill":
        for line in sys.stdin:
            put(url_in(line)[0], line)
    else:
        work(role)
