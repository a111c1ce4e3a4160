"""What the provider deletes soon goes first wherever it waits, and when the first of it will be gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import keys
from service.ledger import Commit, Ledger
from service.prediction import Stage
from tests.builders import (
    NOON,
    RETENTION,
    Clock,
    accept,
    callback,
    completed,
    finish,
    jobs,
    lease,
    pending,
    polled,
    ref,
    stage_of,
    tracked,
)

if TYPE_CHECKING:
    from service.ledger import Arrival

pytestmark = pytest.mark.anyio

DAY = 86_400.0
KEPT = 7 * DAY


def aged(id_: str, days: float) -> Arrival:
    return callback(completed(id_, created_at=NOON - days * DAY))


async def order(ledger: Ledger) -> list[str]:
    """Ids in the order in which a worker takes them."""
    return [job.removeprefix("p-main-").rpartition("-")[0] for job in await jobs(ledger)]


async def nearest(ledger: Ledger) -> float | None:
    found: float | None = (await ledger.reading.scaling())["nearest_deletion_seconds"]
    return found


async def test_what_is_deleted_within_a_day_goes_before_all_that_waits(ledger: Ledger) -> None:
    await accept(ledger, aged("young", 1), aged("old", 6.1), aged("gone", 7.1), aged("also_young", 5.9))
    assert await order(ledger) == ["old", "young", "gone", "also_young"]


async def test_of_a_list_that_is_newest_first_the_oldest_is_taken_first(ledger: Ledger) -> None:
    await accept(ledger, *(aged(f"p{days}", days) for days in (6.2, 6.5, 6.8)))
    assert await order(ledger) == ["p6.8", "p6.5", "p6.2"]


async def test_the_threshold_is_the_one_that_was_set(redis_url: str, clock: Clock) -> None:
    for within, first in ((0.0, "young"), (2 * DAY, "old")):
        opened = Ledger(redis_url, RETENTION, virtual_now=clock, urgent_within=within)
        await opened.redis.flushall()
        await accept(opened, aged("young", 1), aged("old", 5.5))
        assert (await order(opened))[0] == first
        await opened.aclose()


async def test_what_becomes_urgent_while_it_waits_overtakes_once(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, aged("first", 1), aged("old", 5.9999), aged("last", 1))
    clock.advance(60)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 1
    assert await order(ledger) == ["old", "first", "old", "last"]
    clock.advance(60)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 0
    await finish(ledger, "old")
    assert await stage_of(ledger, "old") == Stage.DONE


async def test_its_second_job_takes_nothing_that_waits_for_its_next_attempt(ledger: Ledger) -> None:
    await accept(ledger, aged("old", 6.5))
    record = await lease(ledger, "old")
    again = Commit(Stage.ACCEPTED, failures=1, due_in=60)
    assert await ledger.predictions.commit(ref("old"), Stage.WORKING, record.token, again)
    assert await ledger.predictions.lease(ref("old"), 12, "w2") is None


async def test_one_that_is_lost_from_the_queue_rings_again_and_at_its_head(
    ledger: Ledger, clock: Clock
) -> None:
    await accept(ledger, aged("old", 6.5))
    await ledger.redis.delete("rq:queue:catchlight")
    await accept(ledger, aged("young", 1))
    clock.advance(60)
    await ledger.sweeping.sweep(10, reclaim=True)
    assert (await order(ledger))[0] == "old"


async def test_an_urgent_head_makes_no_job_behind_it_look_lost(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, aged("young", 1), aged("old", 6.5))
    clock.advance(60)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 0


async def test_the_nearest_deletion_is_of_what_has_waited_and_ends_with_it(
    ledger: Ledger, clock: Clock
) -> None:
    await accept(ledger, aged("p1", 3), aged("p2", 2), tracked("asked", due_in=0))
    assert await nearest(ledger) is None, "what is worked on at once is never in danger"
    clock.advance(60)
    await ledger.sweeping.sweep(10, reclaim=True)
    assert await nearest(ledger) == KEPT - 3 * DAY - 60
    await finish(ledger, "p1")
    assert await nearest(ledger) == KEPT - 2 * DAY - 60
    await finish(ledger, "p2")
    assert await nearest(ledger) is None
    await ledger.sweeping.due_polls(10, 2, 1.5, 60)
    assert await nearest(ledger) == KEPT - 60, "of whose creation nothing is known, since we know of it"


async def test_what_is_awaited_is_counted_from_its_creation(ledger: Ledger) -> None:
    await accept(ledger, polled(pending("p1")))
    await ledger.redis.hset(keys.PREDICTION + str(ref()), "created_at", f"{NOON - DAY:.3f}")
    await ledger.sweeping.due_polls(10, 2, 1.5, 60)
    assert await nearest(ledger) == KEPT - DAY


async def test_what_is_past_saving_is_near_no_deletion(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, aged("p1", 6))
    clock.advance(60)
    await ledger.sweeping.sweep(10, reclaim=True)
    clock.advance(DAY)
    assert await nearest(ledger) is None
    await ledger.sweeping.sweep(10, reclaim=True)
    assert not await ledger.redis.exists(keys.LOSS)


async def test_what_an_older_version_has_ended_is_tidied_away(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, aged("p1", 3))
    await finish(ledger, "p1")
    # As it leaves them: it does not know the list. One has aged away meanwhile.
    await ledger.redis.zadd(keys.LOSS, {str(ref()): NOON - 3 * DAY, str(ref("nobody")): NOON - 3 * DAY})
    clock.advance(1)
    await ledger.sweeping.sweep(10, reclaim=True)
    assert await nearest(ledger) is None
