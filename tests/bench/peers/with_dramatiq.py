# /// script
# requires-python = ">=3.11"
# dependencies = ["dramatiq[redis]>=1.17", "starlette>=1", "uvicorn>=0.30", "httptools>=0.6", "urllib3>=2"]
# ///
"""dramatiq: 64 threads in one process."""

from __future__ import annotations

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
    if same_work.first_time(connection, id_):
        fetch.send(body)


def work(_: str) -> None:
    dramatiq.Worker(broker, worker_threads=64).start()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    same_work.play(put, work)
