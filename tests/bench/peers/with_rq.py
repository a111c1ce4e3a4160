# /// script
# requires-python = ">=3.11"
# dependencies = ["rq>=3,<4", "redis>=8", "starlette>=1", "uvicorn>=0.30", "httptools>=0.6", "urllib3>=2"]
# ///
"""RQ as its manual shows it: the naive receiver, `rq worker` with a fork per job, and `SimpleWorker`."""

from __future__ import annotations

import redis
import same_work
from rq import Queue, SimpleWorker, Worker

connection = redis.Redis.from_url(same_work.REDIS)
queue = Queue("peer", connection=connection)


def fetch(body: str) -> None:
    same_work.fetch_in_thread(body)


def put(id_: str, body: str) -> None:
    if same_work.first_time(connection, id_):
        queue.enqueue("with_rq.fetch", body, job_id=id_, result_ttl=0)


def work(role: str) -> None:
    kind = {"work": Worker, "work-simple": SimpleWorker}[role]
    kind([queue], connection=connection).work(logging_level="WARNING")


if __name__ == "__main__":
    same_work.play(put, work)
