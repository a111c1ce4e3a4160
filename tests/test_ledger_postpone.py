"""Putting off what is accepted: it waits without a lease, and comes back by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.prediction import Stage
from tests.builders import (
    LEASE,
    Clock,
    accept,
    callback,
    completed,
    failed,
    fields_of,
    finish,
    jobs,
    lease,
    ref,
    stage_of,
    timeline,
    tracked,
)

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio

WHY = "no room: none at all"


async def test_what_is_put_off_waits_without_a_lease_and_says_why(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    before = await timeline(ledger)
    assert await ledger.predictions.postpone(ref(), 5, WHY)
    assert await stage_of(ledger) == Stage.ACCEPTED
    fields = await fields_of(ledger)
    assert (fields["attempts"], fields["error"], fields.get("failures")) == ("0", WHY, None)
    assert await timeline(ledger) == before
    # Its job is one too many now, and a second one that puts it off again as well.
    assert await ledger.predictions.lease(ref(), LEASE, "w1") is None
    assert not await ledger.predictions.postpone(ref(), 5, WHY)
    clock.advance(4.9)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 0
    clock.advance(0.2)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 1
    assert (await lease(ledger)).attempts == 1


async def test_as_often_as_it_is_put_off_no_attempt_is_counted(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    for _ in range(100):
        assert await ledger.predictions.postpone(ref(), 5, WHY)
        clock.advance(6)
        assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 1
    record = await finish(ledger)
    assert (record.attempts, record.failures) == (1, 0)
    assert (await fields_of(ledger))["error"] == ""


async def test_the_more_wait_the_less_often_they_come_back(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, *(callback(completed(f"p{n}")) for n in range(1000)))
    for n in range(1000):
        assert await ledger.predictions.postpone(ref(f"p{n}"), 5, WHY)
    clock.advance(6.9)
    assert (await ledger.sweeping.sweep(1000, reclaim=True)).rung == 0
    clock.advance(0.2)
    assert (await ledger.sweeping.sweep(1000, reclaim=True)).rung == 1000


@pytest.mark.parametrize("stage", ["unknown", "awaited", "working", "done", "failed"])
async def test_only_what_is_accepted_and_rung_can_be_put_off(ledger: Ledger, stage: str) -> None:
    if stage == "awaited":
        await accept(ledger, tracked())
    elif stage != "unknown":
        await accept(ledger, callback(failed() if stage == "failed" else completed()))
    if stage == "working":
        await lease(ledger)
    elif stage in (Stage.DONE, Stage.FAILED):
        await finish(ledger, to=Stage(stage))
    before = await fields_of(ledger)
    assert not await ledger.predictions.postpone(ref(), 5, WHY)
    assert await fields_of(ledger) == before


async def test_what_was_put_off_is_rung_by_another_job(ledger: Ledger, clock: Clock) -> None:
    """The one that put it off is still RQ's to end."""
    await accept(ledger, callback(completed()))
    (first,) = await jobs(ledger)
    await ledger.redis.lpop("rq:queue:catchlight")
    await ledger.predictions.postpone(ref(), 5, WHY)
    clock.advance(6)
    await ledger.sweeping.sweep(10, reclaim=True)
    (second,) = await jobs(ledger)
    assert first != second
