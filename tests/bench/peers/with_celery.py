# /// script
# requires-python = ">=3.11"
# dependencies = ["celery[redis]>=5.4", "starlette>=1", "uvicorn>=0.30", "httptools>=0.6", "urllib3>=2"]
# ///
"""Celery: 100 threads in one process, acknowledged late, results ignored."""

from __future__ import annotations

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
    if same_work.first_time(connection, id_):
        fetch.delay(body)


def work(_: str) -> None:
    options = [
        "--pool=threads",
        "--concurrency=100",
        "--loglevel=WARNING",
        "--without-gossip",
        "--without-mingle",
    ]
    app.worker_main(["worker", *options])


if __name__ == "__main__":
    same_work.play(put, work)
