# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "taskiq>=0.11", "taskiq-redis>=1", "starlette>=1", "uvicorn>=0.30", "httptools>=0.6", "aiohttp>=3.10",
# ]
# ///
"""taskiq on a Redis stream, which acknowledges: 100 tasks at once in one process."""

from __future__ import annotations

import asyncio
import sys

import redis.asyncio
import same_work
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(same_work.REDIS)
connection = redis.asyncio.Redis.from_url(same_work.REDIS)
fetching: list[same_work.Fetching] = []


@broker.task(task_name="fetch")
async def fetch(body: str) -> None:
    await fetching[0].fetch(body)


async def enqueue(id_: str, body: str) -> None:
    if await connection.set(f"seen:{id_}", 1, nx=True, ex=same_work.SEEN_FOR):
        await fetch.kiq(body)


async def fill() -> None:
    await broker.startup()
    for line in sys.stdin:
        await enqueue(same_work.url_in(line)[0], line)


async def work() -> None:
    fetching.append(same_work.Fetching(100))
    broker.is_worker_process = True
    await broker.startup()
    await run_receiver_task(broker, max_async_tasks=100)


def main(role: str, *rest: str) -> None:
    if role == "serve":
        same_work.serve(same_work.receiver(enqueue, broker.startup), int(rest[0]))
    elif role == "fill":
        asyncio.run(fill())
    else:
        asyncio.run(work())


if __name__ == "__main__":
    main(*sys.argv[1:])
