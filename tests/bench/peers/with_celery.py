# /// script
# requires-python = ">=3.11"
# dependencies = ["celery[redis]>=5.4", "starlette>=1", "uvicorn>=0.30", "httptools>=0.6", "urllib3>=2"]
# ///
"""Celery: 100 threads in one process, acknowledged late, results ignored."""

from __future__ import annotations

import sys

import redis
import same_work
from celery import Celery

app = Celery("with_celery", broker=same_work.REDIS)
app.conf.update(task_ignore_result=True, task_acks_late=True, broker_connection_retry_on_startup=True)
connection = redis.Redis.from_url(same_work.REDIS)


@app.task(name="fetch")
def fetch(body: str) -> None:
    same_work.fetch_in_thread(body)


def put(id_: str, body: str) -> None:
    if connection.set(f"seen:{id_}", 1, nx=True, ex=same_work.SEEN_FOR):
        fetch.delay(body)


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
        alone = ["--without-gossip", "--without-mingle"]
        app.worker_main(["worker", "--pool=threads", "--concurrency=100", "--loglevel=WARNING", *alone])


if __name__ == "__main__":
    main(*sys.argv[1:])
