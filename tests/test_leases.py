"""Leases in hand: renewed while work lasts, given up at once when lost, and never mixed up."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from service.ledger import Commit, Ledger
from service.prediction import Stage
from tests.builders import RETENTION, accept_one, callback, completed, fields_of, ref
from tests.serving import own_redis
from tests.workplace import until
from workers.leases import Leases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from service.ledger import PredictionRecord
    from service.prediction import Ref

pytestmark = pytest.mark.anyio

SECONDS = 0.4


@asynccontextmanager
async def keeping(url: str) -> AsyncIterator[tuple[Ledger, Leases]]:
    """A ledger on Redis' own clock, one accepted prediction in it, and leases that are renewed."""
    ledger = Ledger(url, RETENTION)
    leases = Leases(ledger, SECONDS)
    await accept_one(ledger, callback(completed()))
    task = asyncio.create_task(leases.keep())
    try:
        yield ledger, leases
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await ledger.aclose()


async def taken(ledger: Ledger) -> PredictionRecord:
    record = await ledger.predictions.lease(ref(), SECONDS, "w1")
    assert record is not None
    return record


async def stolen(ledger: Ledger, record: PredictionRecord) -> None:
    """As the sweeper does to a lease that ran out."""
    await ledger.predictions.commit(record.ref, Stage.WORKING, record.token, Commit(Stage.ACCEPTED))


async def hold(leases: Leases, record: PredictionRecord, until_set: asyncio.Event) -> str:
    try:
        async with leases.holding(record):
            await until_set.wait()
    except asyncio.CancelledError:
        return "told to stop"
    return "done"


async def ended(holder: asyncio.Task[str]) -> str:
    """How, without a hand of ours in it: wait_for would cancel it."""
    await asyncio.wait({holder}, timeout=3)
    assert holder.done(), "it goes on"
    return holder.result()


async def test_a_lease_outlives_its_length_while_it_is_held(redis_url: str) -> None:
    async with keeping(redis_url) as (ledger, leases):
        record = await taken(ledger)
        first = float((await fields_of(ledger))["lease_until"])
        async with leases.holding(record):

            async def renewed_twice_over() -> bool:
                await ledger.sweeping.sweep(10, reclaim=True)
                return float((await fields_of(ledger))["lease_until"]) > first + 2 * SECONDS

            await until(renewed_twice_over)
        assert "crashes" not in await fields_of(ledger)


async def test_a_lease_that_is_let_go_runs_out_and_counts_as_a_crash(redis_url: str) -> None:
    async with keeping(redis_url) as (ledger, leases):
        async with leases.holding(await taken(ledger)):
            pass

        async def reclaimed() -> bool:
            return (await ledger.sweeping.sweep(10, reclaim=True)).crashed == 1

        await until(reclaimed)
        assert (await fields_of(ledger))["crashes"] == "1"


async def test_whoever_lost_his_lease_is_told_to_stop(redis_url: str) -> None:
    async with keeping(redis_url) as (ledger, leases):
        record = await taken(ledger)
        holder = asyncio.create_task(hold(leases, record, asyncio.Event()))
        await asyncio.sleep(0)
        await stolen(ledger, record)
        assert await ended(holder) == "told to stop"


async def test_whoever_is_ending_is_not_told_to_stop_when_his_commit_has_taken_the_lease(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer may still be under way when a renewal finds that there is no lease any more."""
    async with keeping(redis_url) as (ledger, leases):
        lost: list[Ref] = []
        renew = ledger.predictions.renew

        async def watched(held: Sequence[tuple[Ref, str]], seconds: float) -> set[Ref]:
            gone = await renew(held, seconds)
            lost.extend(gone)
            return gone

        monkeypatch.setattr(ledger.predictions, "renew", watched)
        record, answered = await taken(ledger), asyncio.Event()
        holder = asyncio.create_task(hold(leases, record, answered))
        await asyncio.sleep(0)
        leases.ending(record.ref)
        assert await ledger.predictions.commit(record.ref, Stage.WORKING, record.token, Commit(Stage.DONE))
        await until(lambda: len(lost) >= 2, what="two renewals have found it gone")
        assert not holder.done()
        answered.set()
        assert await holder == "done"
        assert set(lost) == {record.ref}


async def test_an_ending_is_that_of_one_lease_and_not_of_the_next(redis_url: str) -> None:
    """His commit did not come through, say: whoever leases it anew may lose it anew."""
    async with keeping(redis_url) as (ledger, leases):
        first = await taken(ledger)
        async with leases.holding(first):
            leases.ending(first.ref)
        await stolen(ledger, first)
        again = await taken(ledger)
        holder = asyncio.create_task(hold(leases, again, asyncio.Event()))
        await asyncio.sleep(0)
        await stolen(ledger, again)
        assert await ended(holder) == "told to stop"


async def test_the_ending_of_what_nobody_holds_is_nothing(redis_url: str) -> None:
    async with keeping(redis_url) as (_, leases):
        leases.ending(ref("p2"))
        assert not leases._held


async def test_a_second_lease_in_the_same_process_ends_the_first_and_is_renewed(redis_url: str) -> None:
    """The first one's end must not take the second one's renewals with it."""
    async with keeping(redis_url) as (ledger, leases):
        done = asyncio.Event()
        record = await taken(ledger)
        first = asyncio.create_task(hold(leases, record, done))
        await asyncio.sleep(0)
        await stolen(ledger, record)
        again = await taken(ledger)
        second = asyncio.create_task(hold(leases, again, done))
        assert await ended(first) == "told to stop"
        began = float((await fields_of(ledger))["lease_until"])

        async def renewed() -> bool:
            return float((await fields_of(ledger))["lease_until"]) > began + SECONDS

        await until(renewed)
        done.set()
        assert await second == "done"
        assert (await fields_of(ledger))["token"] == again.token


async def test_the_first_is_told_at_once_and_not_at_the_next_renewal(redis_url: str) -> None:
    async with keeping(redis_url) as (ledger, _):
        unkept = Leases(ledger, SECONDS)
        record = await taken(ledger)
        first = asyncio.create_task(hold(unkept, record, asyncio.Event()))
        await asyncio.sleep(0)
        await stolen(ledger, record)
        async with unkept.holding(await taken(ledger)):
            assert await ended(first) == "told to stop"


async def test_renewing_goes_on_after_an_outage_of_redis(tmp_path: Path) -> None:
    with own_redis(tmp_path) as server:
        async with keeping(server.url) as (ledger, leases):
            record = await taken(ledger)
            done = asyncio.Event()
            holder = asyncio.create_task(hold(leases, record, done))
            server.kill()
            await asyncio.sleep(2 * SECONDS)
            server.start()
            back = float((await fields_of(ledger))["lease_until"])

            async def renewed() -> bool:
                return float((await fields_of(ledger))["lease_until"]) > back

            await until(renewed)
            done.set()
            assert await holder == "done"
