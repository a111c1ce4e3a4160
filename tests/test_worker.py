"""The RQ side: visible to RQ's own tools, batched, and deaf to whatever a job hash should not say."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
from rq.executions import Execution
from rq.job import Job
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.worker import Worker

from service import keys, queues
from tests.corpus import jobs
from tests.workplace import rq_keys
from workers.worker import ASIDE_TTL, BEAT_TTL, ConcurrentWorker, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHELF = "rq:queue:catchlight:intermediate"
QUEUE = "rq:queue:catchlight"


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def worker(redis_url: str) -> Iterator[ConcurrentWorker]:
    connection = connect(redis_url)
    made = ConcurrentWorker(connection, "w1")
    made.beat([])
    yield made
    connection.close()


def enqueue(server: redis.Redis, *ids: str) -> None:
    for id_ in ids:
        queues.queue(server).enqueue(queues.PROCESS, "main", id_, job_id=f"j-{id_}")


Fields = dict[str, str | bytes]


def fields(call: object) -> Fields:
    data = call if isinstance(call, bytes) else json.dumps(call).encode()
    return {"data": data, "status": "queued", "origin": "catchlight", "created_at": "2026-01-01T00:00:00.0Z"}


def push(server: redis.Redis, id_: bytes, hash_: Fields) -> None:
    server.hset(b"rq:job:" + id_, items=[part for pair in hash_.items() for part in pair])
    server.rpush(QUEUE, id_)


def aside(server: redis.Redis) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.lrange(keys.ASIDE, 0, -1)]


def test_jobs_are_taken_in_their_order_as_many_as_asked_for(
    server: redis.Redis, worker: ConcurrentWorker
) -> None:
    enqueue(server, "a", "b", "c")
    assert [one.args for one in worker.take(2, 0)] == [("main", "a"), ("main", "b")]
    assert [one.args for one in worker.take(2, 0)] == [("main", "c")]
    assert worker.take(2, 0) == []
    assert server.llen(SHELF) == 0


def test_a_job_that_comes_while_waiting_is_taken(server: redis.Redis, worker: ConcurrentWorker) -> None:
    began = time.monotonic()
    assert worker.take(1, 1) == []
    assert time.monotonic() - began > 0.5
    enqueue(server, "a")
    assert len(worker.take(1, 1)) == 1


def test_rq_sees_who_works_on_what(server: redis.Redis, worker: ConcurrentWorker) -> None:
    enqueue(server, "a", "b")
    taken = worker.take(10, 0)
    (seen,) = Worker.all(connection=server)
    assert (seen.name, seen.get_state(), seen.queue_names()) == ("w1", "busy", ["catchlight"])
    assert {one.job_id for one in seen.get_current_executions()} == {"j-a", "j-b"}
    assert Job.fetch("j-a", server, serializer=queues.SERIALIZER).get_status() == "started"
    worker.finish(taken)
    worker.beat([])
    assert Worker.all(connection=server)[0].get_state() == "idle"
    assert Worker.all(connection=server)[0].successful_job_count == 2


def test_rq_info_shows_the_queue_and_the_worker(
    server: redis.Redis, worker: ConcurrentWorker, redis_url: str
) -> None:
    enqueue(server, "a", "b")
    command = [sys.executable, "-m", "rq.cli", "info", "--url", redis_url, "--raw"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "queue catchlight 2" in said
    assert "worker w1" in said


def test_a_finished_job_leaves_nothing_behind(server: redis.Redis, worker: ConcurrentWorker) -> None:
    enqueue(server, "a", "b")
    worker.finish(worker.take(2, 0))
    assert set(rq_keys(server)) == {"rq:queues", "rq:worker:w1", "rq:workers", "rq:workers:catchlight"}


def test_a_failed_job_keeps_its_traceback_for_a_week(server: redis.Redis, worker: ConcurrentWorker) -> None:
    enqueue(server, "a")
    (one,) = worker.take(1, 0)
    worker.fail(one, _raised())
    registry = FailedJobRegistry(queue=worker.queue)
    assert registry.get_job_ids() == ["j-a"]
    job = Job.fetch("j-a", server, serializer=queues.SERIALIZER)
    result = job.latest_result()
    assert job.get_status() == "failed"
    assert result is not None
    assert "KeyError: 'a bug'" in str(result.exc_string)
    for key in ("rq:job:j-a", "rq:results:j-a"):
        assert queues.FAILURE_TTL - 5 < int(server.ttl(key)) <= queues.FAILURE_TTL
    assert StartedJobRegistry(queue=worker.queue).get_job_ids(cleanup=False) == []
    assert not server.exists("rq:executions:j-a")


def _raised() -> BaseException:
    """With a traceback, as it comes from a job."""
    with pytest.raises(KeyError) as caught:
        dict[str, str]()["a bug"]
    return caught.value


def test_every_job_that_is_taken_has_an_end(server: redis.Redis, worker: ConcurrentWorker) -> None:
    """Should the worker die now, nothing of it may stay for ever."""
    enqueue(server, "a")
    assert server.ttl("rq:job:j-a") == -1
    worker.take(1, 0)
    kept = {"rq:queues", "rq:workers", "rq:workers:catchlight", "rq:wip:catchlight"}
    assert {key for key, ttl in rq_keys(server).items() if ttl == -1} <= kept


def test_hostile_jobs_are_set_aside_and_the_worker_goes_on(
    server: redis.Redis, worker: ConcurrentWorker, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    hostile = jobs.refused(f"touch {canary}")
    jobs.plant(server, hostile)
    *no_hashes, _ = jobs.plant_what_is_no_hash(server)
    enqueue(server, "mine")
    assert [one.job.id for one in worker.take(100, 0)] == ["j-mine"]
    set_aside = aside(server)
    names = [*hostile, *no_hashes]
    assert {one["job"] for one in set_aside} == {name.decode("ascii", "backslashreplace") for name in names}
    assert all(one["why"] and one["at"] > 0 for one in set_aside)
    assert 0 < server.ttl(keys.ASIDE) <= ASIDE_TTL
    for name in names:
        assert 0 < server.ttl(b"rq:job:" + name) <= ASIDE_TTL
    assert server.llen(SHELF) == server.llen(QUEUE) == 0
    assert not canary.exists()
    assert "canary_module" not in sys.modules


def test_nothing_that_stands_beside_a_call_has_a_say(server: redis.Redis, worker: ConcurrentWorker) -> None:
    odd = jobs.idle()
    jobs.plant(server, odd)
    taken = worker.take(100, 0)
    assert [one.job.id.encode() for one in taken] == list(odd)
    worker.finish(taken)
    assert aside(server) == []
    assert [name for name in odd if server.exists(b"rq:job:" + name)] == []


def test_the_corpus_of_jobs_is_as_large_as_promised() -> None:
    assert len(jobs.refused()) + len(jobs.idle()) >= 25


def test_dependents_of_a_failed_job_are_left_where_they_are(
    server: redis.Redis, worker: ConcurrentWorker
) -> None:
    """RQ would enqueue what a set beside the job names."""
    enqueue(server, "a")
    push(server, b"evil", fields(["os.system", None, ["true"], {}]))
    server.lrem(QUEUE, 1, "evil")
    server.sadd("rq:job:j-a:dependents", "evil")
    (one,) = worker.take(1, 0)
    worker.fail(one, _raised())
    assert server.llen(QUEUE) == 0


def test_a_long_list_of_what_was_set_aside_is_cut(
    server: redis.Redis, worker: ConcurrentWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.worker.ASIDE_MOST", 3)
    for n in range(5):
        push(server, b"bad%d" % n, fields(n))
    worker.take(10, 0)
    assert [one["job"] for one in aside(server)] == ["bad4", "bad3", "bad2"]


def test_a_worker_comes_back_after_a_flush_or_a_long_sleep(
    server: redis.Redis, worker: ConcurrentWorker
) -> None:
    server.flushall()
    worker.finish([])
    worker.beat([])
    (seen,) = Worker.all(connection=server)
    assert (seen.name, seen.birth_date is not None) == ("w1", True)
    assert 0 < server.ttl("rq:worker:w1") <= BEAT_TTL


def test_a_beat_keeps_executions_alive_and_revives_none(
    server: redis.Redis, worker: ConcurrentWorker
) -> None:
    enqueue(server, "a")
    (one,) = worker.take(1, 0)
    server.expire(one.execution.key, 1)
    worker.beat([one])
    assert server.ttl(one.execution.key) > 1
    worker.finish([one])
    assert Execution.from_composite_key(one.execution.composite_key, server).worker_name == ""
    assert not server.exists(one.execution.key)


def test_a_worker_that_leaves_is_gone_from_rq_at_once(server: redis.Redis, worker: ConcurrentWorker) -> None:
    worker.leave()
    assert Worker.all(connection=server) == []
    assert not server.exists("rq:worker:w1")


def test_what_killed_workers_left_in_rqs_lists_is_dropped(
    server: redis.Redis, worker: ConcurrentWorker
) -> None:
    now = time.time()
    ages = {"old": f"{now - 120}", "new": f"{now}", "odd": "soon", "none": None}
    for id_, at in ages.items():
        server.rpush(SHELF, id_)
        if at:
            server.hset(f"rq:job:{id_}", "pushed_at", at)
    server.rpush(SHELF, "text")
    server.set("rq:job:text", "not a hash")
    server.zadd("rq:wip:catchlight", {"old:1": now - 120, "new:1": now + 5})
    server.zadd("rq:failed:catchlight", {"past": now - 1, "kept": now + 100})
    worker.tidy()
    assert server.lrange(SHELF, 0, -1) == [b"new"]
    assert server.zrange("rq:wip:catchlight", 0, -1) == [b"new:1"]
    assert server.zrange("rq:failed:catchlight", 0, -1) == [b"kept"]


def test_a_suspended_worker_takes_nothing(server: redis.Redis, worker: ConcurrentWorker) -> None:
    enqueue(server, "a")
    server.set("rq:suspended", 1)
    assert worker.take(1, 0) == []
    server.delete("rq:suspended")
    assert len(worker.take(1, 0)) == 1
