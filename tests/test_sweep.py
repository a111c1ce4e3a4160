"""The sweeper: one leads, another takes over, what is due is rung, and nobody is called crashed too early."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from service import keys, settings, wavespeed
from service.hooks import Parked
from service.intake import Intake
from service.ledger import Arrival, Ledger
from service.ledger.compact import LIVES
from service.prediction import Ref, Stage, Step, Via
from tests.builders import (
    RETENTION,
    accept_one,
    callback,
    completed,
    deliveries,
    fields_of,
    finish,
    hook,
    jobs,
    ref,
    stage_of,
)
from tests.provider import Provider, providing
from tests.serving import own_redis
from tests.workplace import until
from workers import sweep
from workers.sweep import Sweeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from service.wavespeed import Client

pytestmark = pytest.mark.anyio

LEASE = "1.1s"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "EVERY", 0.02)
    monkeypatch.setattr(sweep, "LEAD_FOR", 1.0)


class Running:
    """A sweeper at work, with a ledger of its own as a process has one."""

    def __init__(self, url: str, client: Client, name: str, **changes: str) -> None:
        wanted = {"redis_url": url, "lease": LEASE, "reconcile_every": "0"} | changes
        loaded = settings.load({f"CATCHLIGHT_{key.upper()}": value for key, value in wanted.items()})
        self.ledger = Ledger(url, RETENTION)
        self.sweeper = Sweeper(loaded, self.ledger, Intake(self.ledger), {wavespeed.SOURCE: client}, name)
        self.task = asyncio.create_task(self.sweeper.run())

    async def stop(self) -> None:
        self.sweeper.stop()
        await asyncio.wait_for(self.task, 10)
        await self.ledger.aclose()


@asynccontextmanager
async def sweeping(url: str, name: str = "s1", **changes: str) -> AsyncIterator[tuple[Running, Provider]]:
    async with providing() as (provider, client):
        running = Running(url, client, name, **changes)
        try:
            yield running, provider
        finally:
            await running.stop()


async def test_of_two_one_leads_and_the_other_takes_over_when_it_stops(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "LEAD_FOR", 30.0)
    async with sweeping(redis_url, "s1") as (first, _):
        await until(lambda: first.sweeper.leading)
        async with sweeping(redis_url, "s2") as (second, _):
            await asyncio.sleep(0.2)
            assert not second.sweeper.leading
            await first.stop()
            await until(lambda: second.sweeper.leading, seconds=10)


async def test_who_was_killed_is_followed_when_his_lead_has_run_out(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "LEAD_FOR", 4.0)
    async with sweeping(redis_url, "s1") as (first, _):
        await until(lambda: first.sweeper.leading)
        first.task.cancel()
        await asyncio.gather(first.task, return_exceptions=True)
        first.task = asyncio.create_task(asyncio.sleep(0))
        assert await first.ledger.redis.get(keys.SWEEPER) == "s1"
        async with sweeping(redis_url, "s2") as (second, _):
            await until(lambda: second.sweeper.leading, seconds=12)


async def test_who_slept_through_his_lead_knows_that_he_no_longer_leads(redis_url: str) -> None:
    async with sweeping(redis_url, "s1") as (first, _):
        await until(lambda: first.sweeper.leading)
        time.sleep(1.1)  # noqa: ASYNC251  # stopped is stopped: the loop too
        assert not first.sweeper.leading


async def test_a_hook_that_is_down_gets_its_probes_and_is_told_of(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "HOOKS_EVERY", 0.05)
    config = tmp_path / "catchlight.toml"
    config.write_text('[[hooks]]\nname = "crm"\nurl = "https://crm.example/"\nsecret = "whsec_c2VjcmV0"\n')
    real = Ledger(redis_url, RETENTION)
    await accept_one(real, callback(completed()))
    await finish(real, hooks=[hook("crm")])
    (delivery,) = await deliveries(real)
    taken = await real.deliveries.take(delivery["id"], 60)
    assert taken is not None
    await real.deliveries.attempted(taken, Parked(), status=500, error="answered 500", now=0)
    await real.redis.delete("rq:queue:catchlight")
    changes = {"config": str(config), "breaker_probe": "100ms", "hook_schedule": "10ms"}
    async with sweeping(redis_url, **changes):

        async def probed_and_told() -> bool:
            state = await real.deliveries.hook_state("crm")
            return bool(await jobs(real)) and state.get("noticed") == "100"

        await until(probed_and_told)
    await real.aclose()


async def test_a_lost_job_is_rung_again(redis_url: str, ledger: Ledger) -> None:
    real = Ledger(redis_url, RETENTION)
    await accept_one(real, callback(completed()))
    await real.redis.delete("rq:queue:catchlight")
    await real.redis.zadd(keys.DUE_WORK, {str(ref()): 1})
    async with sweeping(redis_url):

        async def rung() -> bool:
            return len(await jobs(real)) == 1

        await until(rung)
    await real.aclose()


async def test_a_lease_that_ran_out_is_a_crash_but_not_in_the_eyes_of_a_new_leader(redis_url: str) -> None:
    """He cannot know whether Redis was away; within a lease whoever still works will have renewed."""
    real = Ledger(redis_url, RETENTION)
    await accept_one(real, callback(completed()))
    assert await real.predictions.lease(ref(), 0.01, "gone") is not None
    began = time.monotonic()
    async with sweeping(redis_url):

        async def back() -> bool:
            return await stage_of(real) == Stage.ACCEPTED

        await until(back)
        assert time.monotonic() - began > 1.0
    assert (await fields_of(real))["crashes"] == "1"
    await real.aclose()


async def test_what_nobody_called_back_about_is_polled_and_what_nobody_knew_is_found(redis_url: str) -> None:
    async with sweeping(redis_url, reconcile_every="5m") as (running, provider):
        provider.add("p1")

        async def adopted() -> Any:
            return await running.ledger.reading.record(ref("p1", wavespeed.SOURCE))

        await until(adopted)


async def test_only_the_leader_asks_the_provider(redis_url: str) -> None:
    async with sweeping(redis_url, "s1") as (first, _):
        await until(lambda: first.sweeper.leading)
        async with sweeping(redis_url, "s2", reconcile_every="50ms") as (_, provider):
            await asyncio.sleep(0.3)
            assert provider.asked == []


async def test_a_bug_in_one_beat_does_not_end_the_others(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sweeping(redis_url) as (running, _):
        polls = 0

        async def broken() -> None:
            nonlocal polls
            polls += 1
            raise KeyError("a bug")

        monkeypatch.setattr(running.sweeper._rounds, "poll", broken)
        await until(lambda: polls > 2)
        await until(lambda: running.sweeper.leading)


async def test_old_predictions_are_forgotten_as_fast_as_they_age(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one batch of them does not wait for half a minute."""
    monkeypatch.setattr(sweep, "SWEEP_MOST", 2)
    real = Ledger(redis_url, RETENTION)
    for n in range(7):
        await accept_one(real, callback(completed(f"p{n}")))
        await finish(real, f"p{n}")
    await real.redis.zadd(keys.EXPIRY, {str(ref(f"p{n}")): 1 for n in range(7)})
    async with sweeping(redis_url):

        async def forgotten() -> bool:
            return await real.redis.zcard(keys.INDEX) == 0

        await until(forgotten)
    await real.aclose()


async def test_an_outage_of_redis_is_waited_out_and_then_nobody_has_crashed(tmp_path: Path) -> None:
    with own_redis(tmp_path) as server:
        real = Ledger(server.url, RETENTION)
        await accept_one(real, callback(completed()))
        async with sweeping(server.url) as (running, _):
            await until(lambda: running.sweeper.leading)
            await asyncio.sleep(1.2)
            record = await real.predictions.lease(ref(), 0.3, "w1")
            assert record is not None
            server.kill()
            await until(lambda: not running.sweeper.leading)
            await asyncio.sleep(0.3)
            server.start()
            await until(lambda: running.sweeper.leading)
            await asyncio.sleep(0.2)
            assert await stage_of(real) == Stage.WORKING
            assert await real.predictions.renew([(record.ref, record.token)], 30) == set()
        await real.aclose()


async def test_a_stop_while_redis_is_away_ends_in_good_order(tmp_path: Path) -> None:
    with own_redis(tmp_path) as server:
        async with sweeping(server.url) as (running, _):
            await until(lambda: running.sweeper.leading)
            server.kill()
            await running.stop()
            assert running.task.exception() is None


async def test_a_full_redis_is_worked_off_under_the_same_lead(tmp_path: Path) -> None:
    """What polling finds has no room; who crashed meanwhile is reclaimed all the same."""
    with own_redis(tmp_path) as server:
        real = Ledger(server.url, RETENTION)
        await accept_one(real, callback(completed()))
        await accept_one(real, Arrival(Ref(wavespeed.SOURCE, "polled"), Via.TRACK, Step.TRACKED))
        assert await real.predictions.lease(ref(), 0.5, "gone") is not None
        # So much that what the sweeper's own connections take is nothing beside it.
        await real.redis.setrange("ballast", 20_000_000, "x")
        used = (await real.redis.info("memory"))["used_memory"]
        server.configure("maxmemory", str(int(used / 0.9)))
        async with sweeping(server.url) as (_, provider):
            provider.add("polled")

            async def crashed() -> bool:
                return "crashes" in await fields_of(real)

            await until(crashed)
            await until(lambda: "polled" in provider.paths())
            assert await real.reading.counts() == await real.reading.counts() | {"awaited": 1}
            server.configure("maxmemory", "0")

            async def taken() -> bool:
                return (await real.reading.counts())["awaited"] == 0

            await until(taken)
        await real.aclose()


async def test_what_has_ended_becomes_compact_in_its_time(redis_url: str) -> None:
    ledger = Ledger(redis_url, RETENTION)

    async def compact_ones() -> int:
        return sum([LIVES in await fields_of(ledger, id_) for id_ in ids])

    ids = [f"p{n}" for n in range(2 * sweep.COMPACT_MOST)]
    for id_ in ids:
        await accept_one(ledger, callback(completed(id_)))
        await finish(ledger, id_)
    async with sweeping(redis_url, compact_after="10m") as (running, _):
        await until(lambda: running.sweeper.leading)
        await ledger.redis.zadd(keys.SETTLED, {str(ref(ids[0])): 1})
        await until(compact_ones)
        assert await compact_ones() == 1
    async with sweeping(redis_url, compact_after="0s"):
        await until(lambda: all_of(compact_ones, len(ids)))
    await ledger.aclose()


async def all_of(count: Callable[[], Awaitable[int]], number: int) -> bool:
    return await count() == number
