"""The limit of a worker: a bare asyncio loop with the same client, the same writes and the same fsyncs.

`python -m tests.bench.limit FOLDER CONCURRENCY < bodies`

No queue, no ledger, no guard, no leases: an output and a manifest for every callback's body on stdin.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import aiohttp

from workers.guard.session import CHUNK


def keep_first(root: str, folder: str, parts: list[bytes]) -> str:
    """In a folder of its own, which is to be durable too."""
    os.mkdir(folder)  # noqa: PTH102 - pathlib would be measured too
    sync(root)
    return keep(folder, "0.png", parts)


def sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep(folder: str, name: str, parts: list[bytes]) -> str:
    """Whole and durable at its name, or not there; the hash."""
    data = b"".join(parts)
    place = f"{folder}/{name}"
    descriptor = os.open(f"{place}.part", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        digest = hashlib.sha256(data).hexdigest()
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(f"{place}.part", place)  # noqa: PTH104 - pathlib would be measured too
    sync(folder)
    return digest


async def one(client: aiohttp.ClientSession, threads: ThreadPoolExecutor, root: str, body: str) -> None:
    loop = asyncio.get_running_loop()
    said = json.loads(body)
    async with client.get(said["outputs"][0], headers={"accept-encoding": "identity"}) as answer:
        answer.raise_for_status()
        parts = [part async for part in answer.content.iter_any()]
    folder = f"{root}/{said['id']}"
    digest = await loop.run_in_executor(threads, keep_first, root, folder, parts)
    manifest = json.dumps({"id": said["id"], "sha256": digest, "payload": said}, indent=2).encode()
    await loop.run_in_executor(threads, keep, folder, "manifest.json", [manifest])


async def run(root: str, concurrency: int, bodies: list[str]) -> None:
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(
        connector=connector, auto_decompress=False, read_bufsize=CHUNK
    ) as client:
        threads = ThreadPoolExecutor(16)
        places = asyncio.Semaphore(concurrency)

        async def placed(body: str) -> None:
            async with places:
                await one(client, threads, root, body)

        await asyncio.gather(*map(placed, bodies))


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), sys.stdin.read().splitlines()))
