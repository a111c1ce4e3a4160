# /// script
# requires-python = ">=3.11"
# dependencies = ["arq>=0.26", "starlette>=1", "uvicorn>=0.30", "httptools>=0.6", "aiohttp>=3.10"]
# ///
"""arq: its own deduplication by job id, 100 jobs at once, no results kept."""

from __future__ import annotations

import asyncio
import sys

import same_work
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

SETTINGS = RedisSettings.from_dsn(same_work.REDIS)
pool: list[object] = []


async def opened() -> None:
    pool.append(await create_pool(SETTINGS))


async def enqueue(id_: str, body: str) -> None:
    await pool[0].enqueue_job("fetch", body, _job_id=id_)


async def fetch(ctx: dict, body: str) -> None:
    await ctx["fetching"].fetch(body)


async def start(ctx: dict) -> None:
    ctx["fetching"] = same_work.Fetching(100)


async def fill() -> None:
    await opened()
    for line in sys.stdin:
        await enqueue(same_work.url_in(line)[0], line)


def main(role: str, *rest: str) -> None:
    if role == "serve":
        same_work.serve(same_work.receiver(enqueue, opened), int(rest[0]))
    elif role == "fill":
        asyncio.run(fill())
    else:
        functions = [func(fetch, name="fetch", keep_result=0)]
        Worker(functions, redis_settings=SETTINGS, on_startup=start, max_jobs=100, poll_delay=0.05).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
