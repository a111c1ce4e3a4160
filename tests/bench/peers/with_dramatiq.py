# /// script
# requires-python = ">=3.11"
# dependencies = ["dramatiq[redis]>=1.17", "starlette>=1", "uvicorn>=0.30", "httptools>=0.6", "urllib3>=2"]
# ///
"""dramatiq: 64 threads in one process."""

from __future__ import annotations

import sys
import time

import dramatiq
import redis
import same_work
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=same_work.REDIS, middleware=[])
dramatiq.set_broker(broker)
connection = redis.Redis.from_url(same_work.REDIS)


@dramatiq.actor
def fetch(body: str) -> None:
    same_work.fetch_in_thread(body)


def put(id_: str, body: str) -> None:
    if connection.set(f"seen:{id_}", 1, nx=True, ex=same_work.SEEN_FOR):
        fetch.send(body)


async def enqueue(id_: str, body: str) -> None:
    from starlette.concurrency import run_in_threadpool

    await run_in_threadpool(put, id_, body)


def main(role: str, *rest: str) -> None:
    if role == "serve":
        same_work.serve(same_work.receiver(enqueue), int(rest[0]))
    elif role == "fill":
        for line in sys.stdin:
            put(same_work.url_in(line)[0], line)
    else:
        dramatiq.Worker(broker, worker_threads=64).start()
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main(*sys.argv[1:])
