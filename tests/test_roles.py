"""The roles as processes: work gets done, kills and stops cost nothing, and nothing is done twice."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
from rq.worker import Worker

from service import keys
from service.prediction import Disposition, Stage
from service.simulator.scenario import Scenario
from service.simulator.simulator import SimulatorConfig
from tests.serving import own_redis
from tests.workplace import Workplace, role, rq_keys, started, steps, until, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.prediction import Ref

pytestmark = pytest.mark.anyio

LEASE = 2.0
SHORT: dict[str, Any] = {"lease": f"{LEASE}s", "fetch_idle": "60s", "grace": "0s"}
LARGE = 2_500_000
"""Bytes of which half is more than a store gathers before it begins to write."""
STALLING = SimulatorConfig(delay=(0, 0), media_bytes=LARGE, stall=20)
"""The first download of a slow output stands still for longer than anything here may take."""


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def unfinished(place: Workplace) -> list[str]:
    return [path for path in place.files() if path.startswith(".tmp/")]


async def downloading(place: Workplace) -> None:
    """Until the first half of the file is being written."""
    await until(lambda: unfinished(place), what="a file is begun")


async def stored_once(place: Workplace, ref: Ref) -> dict[str, Any]:
    """It is done, with one file, one event, and nothing half-finished."""
    ended = await place.ended(ref)
    assert ended["stage"] == Stage.DONE
    assert [output["disposition"] for output in ended["outputs"]] == [Disposition.STORED]
    await until(place.told)
    assert [line["type"] for line in place.told()] == ["prediction.completed"]
    assert len(set(place.files()) - set(unfinished(place))) == 1
    assert steps(ended).count("committed") == 1
    return ended


async def test_a_worker_does_it_all_shows_in_rq_and_leaves_no_trace(
    redis_url: str, tmp_path: Path, server: redis.Redis
) -> None:
    canary = tmp_path / "canary"
    async with workplace(redis_url, tmp_path) as place:
        evil = json.dumps(["os.system", None, [f"touch {canary}"], {}])
        server.hset("rq:job:evil", mapping={"data": evil, "failure_callback_name": "os.system"})
        server.rpush("rq:queue:catchlight", "evil")
        refs = [await place.complete(place.payload(Scenario.CLEAN)) for _ in range(20)]
        async with role(place, "work") as worker:
            for ref in refs:
                assert (await place.ended(ref))["stage"] == Stage.DONE
            await until(lambda: len(place.told()) == 20)
            (seen,) = Worker.all(connection=redis.Redis.from_url(redis_url))
            assert (seen.pid, seen.queue_names()) == (worker.process.pid, ["catchlight"])
            assert [alive.role for alive in await place.ledger.roles.alive()] == ["work"]
            assert await worker.end() == 0
        assert await place.ledger.roles.alive() == []
        assert Worker.all(connection=server) == []
        assert not canary.exists()
        left = {key: ttl for key, ttl in rq_keys(server).items() if key != "rq:queues"}
        assert set(left) == {"rq:job:evil"}
        assert left["rq:job:evil"] > 0
        assert server.llen(keys.ASIDE) == 1


async def test_a_worker_killed_in_a_download_costs_a_lease_and_nothing_else(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        workplace(redis_url, tmp_path, config=STALLING, **SHORT) as place,
        role(place, "sweep", ready=False),
    ):
        said = place.payload(Scenario.SLOW)
        async with role(place, "work") as first:
            ref = await place.complete(said)
            await downloading(place)
            await first.end(signal.SIGKILL)
        killed = time.monotonic()
        async with role(place, "work"):
            ended = await stored_once(place, ref)
            assert time.monotonic() - killed < LEASE + 6
            assert steps(ended).count("crashed") == 1
            assert ended["attempts"] == 2
            # What the killed one left was tidied when the next one started.
            assert unfinished(place) == []


async def test_a_stop_in_a_download_hands_it_back_at_once(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path, config=STALLING, **SHORT) as place:
        said = place.payload(Scenario.SLOW)
        ref = await place.complete(said)
        async with role(place, "work", concurrency="1") as worker:
            await downloading(place)
            began = time.monotonic()
            assert await worker.end() == 0
            assert time.monotonic() - began < 5
        back = await place.prediction(ref)
        assert (back["stage"], back["attempts"]) == (Stage.ACCEPTED, 1)
        assert "crashed" not in steps(back)
        assert place.files() == []
        async with role(place, "work"):
            assert (await stored_once(place, ref))["attempts"] == 2


async def test_a_worker_that_slept_through_its_lease_commits_nothing(redis_url: str, tmp_path: Path) -> None:
    async with (
        workplace(redis_url, tmp_path, config=STALLING, **SHORT) as place,
        role(place, "sweep", ready=False),
        role(place, "work") as sleeper,
    ):
        said = place.payload(Scenario.SLOW)
        ref = await place.complete(said)
        await downloading(place)
        sleeper.send(signal.SIGSTOP)
        try:
            async with role(place, "work"):
                ended = await stored_once(place, ref)
        finally:
            sleeper.send(signal.SIGCONT)
        await until(lambda: "lease.lost" in sleeper.said())
        await until(lambda: "prediction.superseded" in sleeper.said())
        after = await place.prediction(ref)
        assert (after["attempts"], after["finished_at"]) == (2, ended["finished_at"])
        assert steps(after).count("committed") == 1
        await until(lambda: len(place.files()) == 1)


async def test_redis_may_restart_while_a_job_runs(tmp_path: Path) -> None:
    stalling = SimulatorConfig(delay=(0, 0), media_bytes=LARGE, stall=1.5)
    with own_redis(tmp_path) as server:
        async with (
            workplace(server.url, tmp_path, config=stalling, **SHORT) as place,
            role(place, "work"),
            role(place, "sweep", ready=False),
        ):
            said = place.payload(Scenario.SLOW)
            ref = await place.complete(said)
            await downloading(place)
            server.kill()
            made = place.sim.find(ref.id)
            assert made is not None
            await until(lambda: not unfinished(place))
            server.start()
            ended = await stored_once(place, ref)
            assert (ended["attempts"], "crashed" in steps(ended), made.hits[0]) == (1, False, 1)
            again = await place.complete(place.payload(Scenario.TEXT))
            assert (await place.ended(again))["stage"] == Stage.DONE


async def test_a_stock_rq_worker_can_do_our_jobs(redis_url: str, tmp_path: Path, server: redis.Redis) -> None:
    async with workplace(redis_url, tmp_path) as place:
        ref = await place.complete(place.payload(Scenario.CLEAN))
        rq = [sys.executable, "-m", "rq.cli", "worker", "catchlight", "--url", redis_url, "--burst"]
        async with started(place, [*rq, "--serializer", "rq.serializers.JSONSerializer"]) as worker:
            await worker.process.ended()
        await stored_once(place, ref)
        assert server.zcard("rq:failed:catchlight") == 0
        assert [key for key in rq_keys(server) if key.startswith("rq:job:")] == []


async def test_a_storage_that_cannot_be_written_is_found_out_at_the_start(
    redis_url: str, tmp_path: Path
) -> None:
    async with workplace(redis_url, tmp_path, storage_url="file:///dev/null/outputs") as place:
        async with started(place, [sys.executable, "-P", "-m", "workers", "work"]) as worker:
            assert await worker.process.ended() == 1
        assert "error: CATCHLIGHT_STORAGE_URL" in worker.said()
        assert "Traceback" not in worker.said()
