"""The loop: many jobs side by side, one job's bug is its own, and a stop that hands everything back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import redis

from service import queues
from service.errors import LedgerDown
from tests.serving import own_redis
from tests.workplace import rq_keys, until
from workers.loop import Loop
from workers.worker import ConcurrentWorker, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    Job = Callable[[str, str], Awaitable[None]]

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture(autouse=True)
def stops_are_noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.loop.TAKE_WAIT", 0.1)


def ring(url: str, *ids: str) -> None:
    with redis.Redis.from_url(url) as client:
        for id_ in ids:
            queues.queue(client).enqueue(queues.PROCESS, "main", id_)


@asynccontextmanager
async def looping(
    url: str, job: Job, concurrency: int = 8, grace: float = 0.0
) -> AsyncIterator[tuple[Loop, asyncio.Task[None]]]:
    """A running loop with one function; stopped at the end."""
    worker = ConcurrentWorker(connect(url), "w1")
    worker.beat([])
    loop = Loop(worker, {queues.PROCESS: job}, concurrency)
    task = asyncio.create_task(loop.run(grace))
    try:
        yield loop, task
    finally:
        loop.stop()
        await asyncio.wait_for(task, 15)
        worker.connection.close()


async def test_as_many_jobs_run_side_by_side_as_there_are_places(redis_url: str) -> None:
    running, most, done = 0, 0, 0
    everyone = asyncio.Event()

    async def job(_: str, __: str) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        if running == 5:
            everyone.set()
        await everyone.wait()
        await asyncio.sleep(0.01)
        running, done = running - 1, done + 1

    ring(redis_url, *map(str, range(12)))
    async with looping(redis_url, job, concurrency=5):
        await until(lambda: done == 12)
    assert most == 5


async def test_nothing_is_left_in_rq_when_all_is_done(redis_url: str, server: redis.Redis) -> None:
    seen: list[str] = []

    async def job(_: str, id_: str) -> None:
        seen.append(id_)

    ring(redis_url, *map(str, range(150)))
    async with looping(redis_url, job, concurrency=64):
        await until(lambda: len(seen) == 150)
    assert sorted(seen) == sorted(map(str, range(150)))
    left = set(rq_keys(server)) - {"rq:queues", "rq:worker:w1", "rq:workers", "rq:workers:catchlight"}
    assert left == set()
    assert server.hget("rq:worker:w1", "successful_job_count") == "150"


async def test_a_bug_is_its_jobs_failure_and_not_the_loops_end(redis_url: str, server: redis.Redis) -> None:
    fine: list[str] = []

    async def job(_: str, id_: str) -> None:
        if id_ == "bad":
            raise KeyError(id_)
        fine.append(id_)

    ring(redis_url, "a", "bad", "b")
    async with looping(redis_url, job):
        await until(lambda: fine == ["a", "b"])
        await until(lambda: server.zcard("rq:failed:catchlight") == 1)
        ring(redis_url, "c")
        await until(lambda: len(fine) == 3)
    jobs = {key: ttl for key, ttl in rq_keys(server).items() if key.startswith(("rq:job:", "rq:results:"))}
    assert len(jobs) == 2
    assert all(ttl > 0 for ttl in jobs.values())
    assert [key for key in rq_keys(server) if key.startswith("rq:execution")] == []


async def test_a_ledger_that_is_away_is_no_failure_of_the_job(redis_url: str, server: redis.Redis) -> None:
    tried: list[str] = []

    async def job(_: str, id_: str) -> None:
        tried.append(id_)
        raise LedgerDown("Redis does not answer")

    ring(redis_url, "a")
    async with looping(redis_url, job):
        await until(lambda: tried)
    assert server.zcard("rq:failed:catchlight") == 0
    assert [key for key in rq_keys(server) if key.startswith("rq:job:")] == []


class Sleeper:
    """A job that would take an hour."""

    def __init__(self) -> None:
        self.begun = 0
        self.handed_back = 0

    async def __call__(self, _: str, __: str) -> None:
        self.begun += 1
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.handed_back += 1
            raise


async def test_a_stop_is_heard_when_every_place_is_taken(redis_url: str, server: redis.Redis) -> None:
    """With one place and one slow job there is no free place to wait for."""
    job = Sleeper()
    ring(redis_url, "a", "b")
    async with looping(redis_url, job, concurrency=1) as (loop, task):
        await until(lambda: job.begun == 1)
        loop.stop()
        await asyncio.wait_for(task, 5)
    assert (job.begun, job.handed_back) == (1, 1)
    assert server.llen("rq:queue:catchlight") == 1
    assert [key for key in rq_keys(server) if key.startswith("rq:execution")] == []


async def test_jobs_in_flight_have_the_grace_to_end_by_themselves(redis_url: str) -> None:
    ended = asyncio.Event()
    begun = asyncio.Event()

    async def job(_: str, __: str) -> None:
        begun.set()
        await asyncio.sleep(0.3)
        ended.set()

    ring(redis_url, "a")
    async with looping(redis_url, job, grace=10) as (loop, task):
        await begun.wait()
        loop.stop()
        await asyncio.wait_for(task, 5)
        assert ended.is_set()


async def test_a_job_that_was_taken_over_ends_without_a_failure(redis_url: str, server: redis.Redis) -> None:
    """Its lease lost, it cancels itself; the others go on."""
    fine: list[str] = []

    async def job(_: str, id_: str) -> None:
        if id_ == "lost":
            raise asyncio.CancelledError
        fine.append(id_)

    ring(redis_url, "lost", "a")
    async with looping(redis_url, job):
        await until(lambda: fine == ["a"])
        await until(lambda: not [key for key in rq_keys(server) if key.startswith("rq:job:")])
    assert server.zcard("rq:failed:catchlight") == 0


async def test_the_loop_outlives_a_restart_of_redis(tmp_path: Path) -> None:
    done: list[str] = []
    hold = asyncio.Event()

    async def job(_: str, id_: str) -> None:
        if id_ == "before":
            await hold.wait()
        done.append(id_)

    with own_redis(tmp_path) as server:
        ring(server.url, "before")
        async with looping(server.url, job):
            await asyncio.sleep(0)
            with redis.Redis.from_url(server.url) as client:
                await until(lambda: client.zcard("rq:wip:catchlight") == 1)
            server.kill()
            hold.set()
            await until(lambda: done == ["before"])
            server.start()
            ring(server.url, "after")
            await until(lambda: done == ["before", "after"])
            with redis.Redis.from_url(server.url, decode_responses=True) as client:
                await until(lambda: not [key for key in rq_keys(client) if key.startswith("rq:job:")])
