from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.ledger import Commit
from service.prediction import Reason, Stage, Step
from tests.builders import (
    LEASE,
    RETENTION,
    Clock,
    accept,
    callback,
    completed,
    finish,
    hook,
    jobs,
    lease,
    output,
    pending,
    polled,
    ref,
    stage_of,
    timeline,
    tracked,
)

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio

QUEUE = "rq:queue:catchlight"


async def crash(ledger: Ledger, clock: Clock) -> None:
    await lease(ledger)
    clock.advance(LEASE)
    swept = await ledger.sweeping.sweep(10, reclaim=True)
    assert (swept.crashed, swept.whose) == (1, [(ref(), "w1")])


async def test_an_expired_lease_is_a_crash_and_rings_again(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    await crash(ledger, clock)
    assert await stage_of(ledger) == Stage.ACCEPTED
    assert (await timeline(ledger))[-1] == Step.CRASHED
    assert (await jobs(ledger))[-1] == "p-main-p1-2"


async def test_just_after_an_outage_nobody_has_crashed(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    record = await lease(ledger)
    clock.advance(LEASE * 5)
    assert (await ledger.sweeping.sweep(10, reclaim=False)).crashed == 0
    assert await ledger.predictions.renew([(ref(), record.token)], LEASE) == set()
    clock.advance(1)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).crashed == 0


async def test_in_flight_in_two_crashes_it_runs_alone_and_is_blamed_for_its_own_only(
    ledger: Ledger, clock: Clock
) -> None:
    await accept(ledger, callback(completed()))
    await crash(ledger, clock)
    await crash(ledger, clock)
    for own in range(3):
        suspect = await lease(ledger)
        assert (suspect.alone, suspect.crashes, suspect.crashes_alone) == (True, 2, own)
        assert await ledger.predictions.crashed(ref(), suspect.token)
        assert await stage_of(ledger) == Stage.ACCEPTED
    await crash(ledger, clock)
    suspect = await lease(ledger)
    assert (suspect.crashes, suspect.crashes_alone) == (3, 3)


async def test_who_has_committed_or_lost_its_lease_has_not_crashed(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    first = await lease(ledger)
    await ledger.predictions.commit(ref(), Stage.WORKING, first.token, Commit(Stage.ACCEPTED))
    second = await lease(ledger)
    assert not await ledger.predictions.crashed(ref(), first.token)
    assert await stage_of(ledger) == Stage.WORKING
    assert second.crashes_alone == 0


async def test_who_was_a_suspect_and_ended_well_is_none_when_it_comes_back(
    ledger: Ledger, clock: Clock
) -> None:
    await accept(ledger, callback(completed()))
    await crash(ledger, clock)
    await crash(ledger, clock)
    await finish(ledger)
    await accept(ledger, callback(completed(nsfw="f")))
    assert (await lease(ledger)).alone is False


async def test_an_end_and_a_replay_wipe_the_crashes(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    await crash(ledger, clock)
    await crash(ledger, clock)
    await finish(ledger, to=Stage.DEAD)
    await ledger.predictions.replay(ref())
    assert (await lease(ledger)).alone is False


@pytest.mark.parametrize("lose", ["delete", "lpop"])
async def test_a_job_lost_from_the_queue_rings_again_after_the_guard(
    ledger: Ledger, clock: Clock, lose: str
) -> None:
    await accept(ledger, *(callback(completed(id_)) for id_ in ("p1", "p2", "p3")))
    await getattr(ledger.redis, lose)(QUEUE)
    clock.advance(4)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 0
    clock.advance(2)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == (3 if lose == "delete" else 1)
    assert len(await jobs(ledger)) == 3


@pytest.mark.parametrize("step", [0, 1, -3600], ids=["at-once", "later", "clock-set-back"])
async def test_a_job_still_waiting_is_not_doubled_however_long_the_queue(
    ledger: Ledger, clock: Clock, step: float
) -> None:
    for n in range(30):
        clock.advance(step)
        await accept(ledger, *(callback(completed(f"p{n}-{m}")) for m in range(20)))
    for _ in range(5):
        clock.advance(7200)
        assert (await ledger.sweeping.sweep(1000, reclaim=True)).rung == 0
    assert len(await jobs(ledger)) == 600


async def test_a_longer_queue_is_looked_after_less_often(ledger: Ledger, clock: Clock) -> None:
    await ledger.redis.rpush(QUEUE, *(f"other-{n}" for n in range(10_000)))
    await accept(ledger, callback(completed()))
    assert await ledger.redis.zscore(keys.DUE_WORK, str(ref())) == pytest.approx(clock.now + 25, abs=0.1)


async def test_a_strangers_job_at_the_head_stops_nothing(ledger: Ledger, clock: Clock) -> None:
    await ledger.redis.rpush(QUEUE, "theirs")
    await ledger.redis.set("rq:job:theirs", "no hash")
    await accept(ledger, callback(completed()))
    clock.advance(6)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 0
    await ledger.redis.delete(QUEUE)
    clock.advance(6)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 1


async def test_a_corrupt_entry_is_set_aside_and_stops_nothing_behind_it(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, *(callback(completed(id_)) for id_ in ("bad", "good")), tracked("worse", due_in=0))
    for id_ in ("bad", "worse"):
        await ledger.redis.set(keys.PREDICTION + str(ref(id_)), "no hash")
    await ledger.redis.delete(QUEUE)
    clock.advance(6)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 1
    assert await ledger.sweeping.due_polls(10, 2, 1.5, 60) == []
    aside = [json.loads(line) for line in await ledger.redis.lrange(keys.ASIDE, 0, -1)]
    assert [one["job"] for one in aside] == ["main:worse", "main:bad"]
    assert "WRONGTYPE" in aside[0]["why"]
    assert 0 < await ledger.redis.ttl(keys.ASIDE) <= 7 * 86_400


async def test_a_sweep_touches_no_more_than_it_is_asked_to(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, *(callback(completed(f"p{n}")) for n in range(10)))
    await ledger.redis.delete(QUEUE)
    clock.advance(6)
    assert [(await ledger.sweeping.sweep(4, reclaim=True)).rung for _ in range(4)] == [4, 4, 2, 0]


async def test_polls_grow_apart_and_no_two_sweepers_ask_twice(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, tracked(due_in=60))
    assert await ledger.sweeping.due_polls(10, 2, 1.5, 6) == []
    clock.advance(60)
    waits: list[float] = []
    for _ in range(6):
        (due,) = await ledger.sweeping.due_polls(10, 2, 1.5, 6)
        assert (due.ref, due.known_at) == (ref(), clock.now - 60 - sum(waits))
        assert await ledger.sweeping.due_polls(10, 2, 1.5, 6) == []
        await accept(ledger, polled(pending(), due_in=60))
        score = await ledger.redis.zscore(keys.DUE_POLL, str(ref()))
        assert score is not None
        waits.append(score - clock.now)
        clock.advance(waits[-1])
    assert waits == pytest.approx([2, 3, 4.5, 6, 6, 6], abs=0.01)


async def test_one_sweeper_leads_until_it_stops_beating(ledger: Ledger) -> None:
    lead, abdicate = ledger.sweeping.lead, ledger.sweeping.abdicate
    assert await lead("one", 10)
    assert not await lead("two", 10)
    assert await lead("one", 10)
    await abdicate("two")
    assert not await lead("two", 10)
    await abdicate("one")
    assert await lead("two", 10)
    assert 0 < await ledger.redis.pttl(keys.SWEEPER) <= 10_000


async def test_the_trim_forgets_everything_of_what_is_past_its_time(ledger: Ledger, clock: Clock) -> None:
    hooks = [hook("crm"), hook("mail")]
    await accept(ledger, callback(completed("old")))
    await finish(ledger, "old", hooks=hooks, outputs=[output()])
    await accept(ledger, tracked("late"))
    await ledger.predictions.commit(ref("late"), Stage.AWAITED, "", Commit(Stage.EXPIRED, Reason.DEADLINE))
    await ledger.deliveries.disable("crm", "by hand", 0)
    traces = ["old", "late", *await ledger.reading.deliveries_of(ref("old"))]
    for delivery_id in traces[2:]:
        await ledger.deliveries.take(delivery_id, 20)
    assert await ledger.redis.scard(keys.DELIVERIES_PARKED + "crm") == 1
    await accept(ledger, callback(completed("alive")))
    clock.advance(RETENTION - 1)
    assert await ledger.sweeping.trim(10) == 0
    clock.advance(1)
    assert await ledger.sweeping.trim(10) == 2
    left = {str(key): await everything(ledger, str(key)) for key in await ledger.redis.keys("catchlight:*")}
    assert not [key for key, text in left.items() if any(trace in key + text for trace in traces)]
    assert (await ledger.reading.counts())[Stage.ACCEPTED] == 1
    assert sum((await ledger.reading.counts()).values()) == 1


async def everything(ledger: Ledger, key: str) -> str:
    redis = ledger.redis
    match await redis.type(key):
        case "hash":
            return str(await redis.hgetall(key))
        case "set":
            return str(await redis.smembers(key))
        case "zset":
            return str(await redis.zrange(key, 0, -1))
        case "list":
            return str(await redis.lrange(key, 0, -1))
        case _:
            return str(await redis.get(key))


async def test_what_came_back_to_life_is_not_trimmed(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger)
    await ledger.predictions.replay(ref())
    clock.advance(RETENTION * 2)
    assert await ledger.sweeping.trim(10) == 0
    assert await stage_of(ledger) == Stage.ACCEPTED


@pytest.mark.parametrize("by", [-3600, 3600, -7, 7])
async def test_a_clock_that_is_set_makes_no_lease_run_out_and_nothing_wait(
    ledger: Ledger, clock: Clock, by: float
) -> None:
    """Neither of what was there before the step nor of what was written between it and the sweep."""
    await accept(ledger, *(callback(completed(id_)) for id_ in ("before", "between", "retry")))
    await lease(ledger, "before")
    retry = await lease(ledger, "retry")
    again = Commit(Stage.ACCEPTED, failures=1, due_in=60)
    await ledger.predictions.commit(ref("retry"), Stage.WORKING, retry.token, again)
    await ledger.sweeping.sweep(10, reclaim=True)
    clock.advance(by)
    await lease(ledger, "between")
    swept = await ledger.sweeping.sweep(10, reclaim=True, elapsed=0.0)
    assert (swept.stepped, swept.crashed, swept.rung) == (by, 0, 0)
    clock.advance(61)
    assert (await ledger.sweeping.sweep(10, reclaim=False, elapsed=61.0)).rung == 1
    assert [await stage_of(ledger, id_) for id_ in ("before", "between")] == [Stage.WORKING] * 2


async def test_what_was_written_after_a_step_forward_does_not_wait_for_as_long(
    ledger: Ledger, clock: Clock
) -> None:
    await accept(ledger, tracked("before", due_in=60))
    await ledger.sweeping.sweep(10, reclaim=True)
    clock.advance(3600)
    await accept(ledger, tracked("since", due_in=5))
    assert (await ledger.sweeping.sweep(10, reclaim=True, elapsed=0.0)).stepped == 3600
    clock.advance(6)
    assert [one.ref.id for one in await ledger.sweeping.due_polls(10, 2, 1.5, 60)] == ["since"]
    clock.advance(55)
    assert "before" in [one.ref.id for one in await ledger.sweeping.due_polls(10, 2, 1.5, 60)]


async def test_a_sweep_that_comes_late_is_no_step_of_the_clock(ledger: Ledger, clock: Clock) -> None:
    await ledger.sweeping.sweep(10, reclaim=True)
    clock.advance(100)
    assert (await ledger.sweeping.sweep(10, reclaim=True, elapsed=99.0)).stepped == 0
    clock.advance(100)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).stepped == 0
