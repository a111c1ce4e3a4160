"""Files kept by one process: by our stores, and as plainly as it can be done.

    python -m tests.bench.keepers KIND PLACE SIZE COUNT AT_ONCE

KIND: directory, plain or hashed with a folder as PLACE; bucket, obstore or aiohttp with an s3:// URL, which
the `AWS_*` environment leads to. Prints what it took as JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import obstore
from obstore.store import S3Store

from service.storage.directory import DirectoryStore
from service.storage.objects import CLIENT, ObjectStore
from tests.bench.limit import sync
from workers.guard.session import CHUNK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from service.storage.store import Store

    Keep = Callable[[str, bytes], Awaitable[None]]
    """A key and what is to stand at it."""

_AN_HOUR = timedelta(hours=1)


@asynccontextmanager
async def with_store(store: Store) -> AsyncIterator[Keep]:
    async def chunks(data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), CHUNK):
            yield data[start : start + CHUNK]

    async def keep(key: str, data: bytes) -> None:
        await store.keep(key, chunks(data))

    yield keep
    await store.aclose()


@asynccontextmanager
async def plainly(root: str, at_once: int, *, hashed: bool) -> AsyncIterator[Keep]:
    """Write, fsync, rename, fsync of the folder, and of the one above: each file has a folder of its own."""
    threads = ThreadPoolExecutor(at_once)

    def write(key: str, data: bytes) -> None:
        place = Path(root, key)
        place.parent.parent.mkdir(parents=True, exist_ok=True)
        place.parent.mkdir()
        sync(str(place.parent.parent))
        if hashed:
            hashlib.sha256(data).hexdigest()
        descriptor = os.open(f"{place}.part", os.O_WRONLY | os.O_CREAT, 0o640)
        os.write(descriptor, data)
        os.fsync(descriptor)
        os.close(descriptor)
        Path(f"{place}.part").rename(place)
        sync(str(place.parent))

    async def keep(key: str, data: bytes) -> None:
        await asyncio.get_running_loop().run_in_executor(threads, write, key, data)

    yield keep
    threads.shutdown()


@asynccontextmanager
async def with_obstore(url: str) -> AsyncIterator[Keep]:
    """One request for each, however large; nothing is hashed but for the signature, and all may overwrite."""
    bucket = S3Store.from_url(url, client_options=CLIENT)

    async def keep(key: str, data: bytes) -> None:
        await bucket.put_async(key, data, use_multipart=False)

    yield keep
    # Its threads drop Python objects just after an answer.
    await asyncio.sleep(0.05)


@asynccontextmanager
async def with_aiohttp(url: str, at_once: int) -> AsyncIterator[Keep]:
    """PUT to URLs that are signed beforehand: nothing of the body is looked at."""
    bucket = S3Store.from_url(url, client_options=CLIENT)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:

        async def keep(key: str, data: bytes) -> None:
            signed = obstore.sign(bucket, "PUT", key, _AN_HOUR)
            async with session.put(signed, data=data) as answer:
                answer.raise_for_status()

        yield keep


def keeper(kind: str, place: str, at_once: int) -> AbstractAsyncContextManager[Keep]:
    match kind:
        case "directory":
            return with_store(DirectoryStore(Path(place), setting="BENCH", threads=at_once))
        case "bucket":
            return with_store(ObjectStore(place, setting="BENCH", threads=at_once))
        case "plain" | "hashed":
            return plainly(place, at_once, hashed=kind == "hashed")
        case "obstore":
            return with_obstore(place)
        case _:
            return with_aiohttp(place, at_once)


async def run(kind: str, place: str, size: int, count: int, at_once: int) -> dict[str, float]:
    data = random.Random(1).randbytes(size)
    async with keeper(kind, place, at_once) as keep:
        places = asyncio.Semaphore(at_once)

        async def placed(n: int) -> None:
            async with places:
                await keep(f"model/2026/01/02/{n:06d}/0.bin", data)

        await asyncio.gather(*map(placed, range(count, count + min(at_once, count))))
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*map(placed, range(count)))
        return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def main() -> None:
    kind, place, *numbers = sys.argv[1:]
    json.dump(asyncio.run(run(kind, place, *map(int, numbers))), sys.stdout)


if __name__ == "__main__":
    main()
