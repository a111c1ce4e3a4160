"""The running totals of each minute are kept once, whoever asks, for a day."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from service import keys, settings
from service.intake import Intake
from service.ledger import Ledger, history
from service.throughput import FETCHED, NAMES, NOT_FETCHED
from tests.builders import RETENTION, accept, callback, completed
from tests.workplace import until
from workers import sweep
from workers.sweep import Sweeper

if TYPE_CHECKING:
    from tests.builders import Clock

pytestmark = pytest.mark.anyio

NO_FETCHES = {FETCHED: 0, NOT_FETCHED: 0}


async def kept(ledger: Ledger) -> list[tuple[float, dict[str, int]]]:
    return [(one.at, dict(one.totals)) for one in (await ledger.history.last(history.MINUTES))[1:]]


async def test_a_minute_is_kept_once(ledger: Ledger, clock: Clock) -> None:
    assert await ledger.history.keep()
    clock.advance(0.5)
    assert not await ledger.history.keep()
    clock.advance(60)
    await accept(ledger, callback(completed()), callback(completed()))
    assert await ledger.history.keep()
    second, first = await kept(ledger)
    assert first == (clock.now - 60.5, NO_FETCHES)
    assert second == (clock.now, {"via_callback": 1, "duplicates": 1} | NO_FETCHES)


async def test_before_what_was_kept_stand_the_totals_of_now(ledger: Ledger) -> None:
    await ledger.history.keep()
    await accept(ledger, callback(completed()))
    now, _ = await ledger.history.last(10)
    assert now.totals == {"via_callback": 1} | NO_FETCHES


async def test_fetches_that_workers_count_are_kept_too(ledger: Ledger) -> None:
    await ledger.measuring.add({NOT_FETCHED: 2, FETCHED: 3, "fetch|kept|1": 3})
    await ledger.history.keep()
    await ledger.measuring.add({NOT_FETCHED: 1})
    now, before = await ledger.history.last(10)
    assert now.totals == {FETCHED: 3, NOT_FETCHED: 3}
    assert before.totals == {FETCHED: 3, NOT_FETCHED: 2}


async def test_more_than_a_day_is_not_kept(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MINUTES", 3)
    begin = clock.now
    for _ in range(5):
        await ledger.history.keep()
        clock.advance(60)
    assert [at - begin for at, _ in await kept(ledger)] == [240, 180, 120]
    assert await ledger.redis.llen(keys.HISTORY) == 3


async def test_a_clock_that_is_set_back_leaves_no_minute_twice(ledger: Ledger, clock: Clock) -> None:
    begin = clock.now
    for _ in range(4):
        await ledger.history.keep()
        clock.advance(60)
    clock.advance(-180)
    assert not await ledger.history.keep()
    assert [at - begin for at, _ in await kept(ledger)] == [60, 0]
    clock.advance(60)
    assert await ledger.history.keep()
    assert [at - begin for at, _ in await kept(ledger)] == [120, 60, 0]


async def test_a_day_takes_a_bounded_part_of_the_memory(ledger: Ledger, clock: Clock) -> None:
    await ledger.redis.hset(keys.TALLY, mapping=dict.fromkeys(NAMES, 1_000_000_000))
    for _ in range(20):
        await ledger.history.keep()
        clock.advance(60)
    size = await ledger.redis.memory_usage(keys.HISTORY, samples=0)
    assert size is not None
    assert size / 20 * history.MINUTES < 1 << 20


async def test_the_sweeper_that_leads_keeps_it(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "EVERY", 0.02)
    loaded = settings.load({"CATCHLIGHT_REDIS_URL": redis_url})
    running = Ledger(redis_url, RETENTION)
    sweeper = Sweeper(loaded, running, Intake(running), {}, "s1")
    task = asyncio.create_task(sweeper.run())
    await until(lambda: running.redis.exists(keys.HISTORY))
    sweeper.stop()
    await task
    await running.aclose()
