"""A hook hears of a prediction when that has ended, however much waits; and no job is lost by that order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.hooks import Delivered
from tests.builders import Clock, accept, callback, completed, deliveries, finish, hook, jobs, output

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio

QUEUE = "rq:queue:catchlight"


async def burst(ledger: Ledger, count: int = 10) -> None:
    await accept(ledger, *(callback(completed(f"p{n}")) for n in range(count)))


async def take(ledger: Ledger) -> str:
    """The job that a worker takes next."""
    taken = await ledger.redis.lpop(QUEUE)
    assert isinstance(taken, str)
    return taken


async def told(ledger: Ledger, id_: str, *names: str) -> list[str]:
    """It ends; the ids of its deliveries."""
    await finish(ledger, id_, hooks=[hook(name) for name in names], outputs=[output()])
    return [str(one["id"]) for one in await deliveries(ledger, id_)]


async def test_a_hook_is_told_before_the_rest_of_a_burst_is_worked_on(ledger: Ledger) -> None:
    await burst(ledger)
    assert (await take(ledger)).startswith("p-main-p0-")
    sent = await told(ledger, "p0", "crm", "dam")
    assert {await take(ledger), await take(ledger)} == {f"d-{one}-1" for one in sent}
    assert (await take(ledger)).startswith("p-main-p1-")


async def test_what_is_sent_again_waits_its_turn(ledger: Ledger) -> None:
    """A thousand of them at once would else keep everybody from working."""
    (sent,) = await told_alone(ledger)
    await burst(ledger, 2)
    assert await ledger.deliveries.send_again([sent])
    assert (await jobs(ledger))[-1] == f"d-{sent}-2"


async def told_alone(ledger: Ledger) -> list[str]:
    await accept(ledger, callback(completed("alone")))
    await take(ledger)
    sent = await told(ledger, "alone", "crm")
    taken = await ledger.deliveries.take(sent[0], 20.0)
    assert taken
    await take(ledger)
    await ledger.deliveries.attempted(taken, Delivered(), status=200, error="", now=0.0)
    return sent


@pytest.mark.parametrize("waiting", [0, 3, 100], ids=["none", "some", "more-than-are-looked-at"])
async def test_what_waits_there_is_not_doubled(ledger: Ledger, clock: Clock, waiting: int) -> None:
    await burst(ledger)
    await take(ledger)
    await told(ledger, "p0", *(f"hook{n}" for n in range(waiting)))
    before = await jobs(ledger)
    for _ in range(3):
        clock.advance(600)
        swept = await ledger.sweeping.sweep(1000, reclaim=True)
        assert (swept.rung, swept.redelivered) == (0, 0)
    assert await jobs(ledger) == before


async def test_one_that_is_lost_is_rung_again_though_others_stand_there(ledger: Ledger, clock: Clock) -> None:
    await burst(ledger)
    await take(ledger)
    await told(ledger, "p0", "crm", "dam", "log")
    lost = await take(ledger)
    clock.advance(60)
    assert (await ledger.sweeping.sweep(100, reclaim=True)).redelivered == 1
    again = lost.removesuffix("-1") + "-2"
    assert (await jobs(ledger))[-1] == again, "its hook has waited already: it takes nobody's place"


async def test_a_lost_prediction_is_found_behind_what_stands_first(ledger: Ledger, clock: Clock) -> None:
    await burst(ledger, 5)
    await take(ledger)
    await take(ledger)
    await told(ledger, "p0", "crm", "dam")
    clock.advance(60)
    assert (await ledger.sweeping.sweep(100, reclaim=True)).rung == 1
    assert (await jobs(ledger))[-1].startswith("p-main-p1-")
