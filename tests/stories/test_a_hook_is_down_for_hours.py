"""A hook is down for six hours (of a clock that obeys): five thousand deliveries wait, and none is lost.

One real worker's workshop, a real Redis, a real endpoint; the test is the queue's worker and the sweeper.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from service.ledger import Ledger
from service.prediction import Disposition
from tests.builders import Clock, accept, callback, completed, finish, output
from tests.receiver import receiving
from tests.workplace import HOOK_SECRET, shop_of, workplace
from workers import deliver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.receiver import Receiver
    from workers.workshop import Workshop

pytestmark = pytest.mark.anyio

HOURS = 6
STEP = 60.0
AT_ONCE = 48
"""What a quick hook has of a worker's 64 places; others would be turned away and come again."""
PREDICTIONS, OUTPUTS = 50, 100
QUEUE = "rq:queue:catchlight"


@dataclasses.dataclass
class Place:
    shop: Workshop
    ledger: Ledger
    receiver: Receiver
    clock: Clock
    predictions: int = 0

    async def predict(self) -> None:
        """One more prediction ends: `output.held` for each of its outputs, and one `prediction.completed`."""
        id_ = f"p{self.predictions}"
        self.predictions += 1
        await accept(self.ledger, callback(completed(id_, "f" * OUTPUTS)))
        held = [output(n, Disposition.HELD, nsfw="flagged") for n in range(OUTPUTS)]
        await finish(self.ledger, id_, hooks=self.shop.hooks.values(), outputs=held)

    async def passes(self, seconds: float) -> None:
        """Time; then all that is due is rung, and all that rings is worked on."""
        self.clock.advance(seconds)
        await self.ledger.sweeping.sweep(10_000, reclaim=True)
        await self.ledger.deliveries.ring_probes(list(self.shop.hooks))
        await self.work()

    async def work(self) -> None:
        while rung := await self.ledger.redis.lrange(QUEUE, 0, -1):
            await self.ledger.redis.delete(QUEUE)
            ids = [str(job).split("-")[1] for job in rung if str(job).startswith("d-")]
            for start in range(0, len(ids), AT_ONCE):
                some = ids[start : start + AT_ONCE]
                await asyncio.gather(*(deliver.deliver(self.shop, id_) for id_ in some))


@asynccontextmanager
async def opened(redis_url: str, folder: Path) -> AsyncIterator[Place]:
    clock = Clock()
    async with receiving([HOOK_SECRET], clock) as receiver:
        hooks = {
            "warehouse": {"url": f"{receiver.url}/warehouse", "events": ["output.*"]},
            "other": {"url": f"{receiver.url}/other", "events": ["prediction.*"]},
        }
        async with (
            workplace(
                redis_url, folder, hooks=hooks, hook_schedule="5s,5m,30m,2h,5h,10h,14h,20h,24h"
            ) as place,
            shop_of(place) as shop,
        ):
            ledger = Ledger(redis_url, place.settings.retention, virtual_now=clock, together=True)
            virtual = dataclasses.replace(shop, ledger=ledger, monotonic=clock)
            try:
                yield Place(virtual, ledger, receiver, clock)
            finally:
                await ledger.aclose()


async def test_six_hours_cost_no_delivery_and_disturb_no_other_hook(redis_url: str, tmp_path: Path) -> None:
    with capture_logs():
        await six_hours(redis_url, tmp_path)


async def six_hours(redis_url: str, folder: Path) -> None:
    async with opened(redis_url, folder) as place:
        receiver, ledger = place.receiver, place.ledger
        receiver.down["/warehouse"] = 503
        steps = int(HOURS * 3600 / STEP)
        for step in range(steps):
            if step % (steps // PREDICTIONS) == 0 and place.predictions < PREDICTIONS:
                await place.predict()
            await place.passes(STEP)
            assert len(receiver.taken("/other")) == place.predictions, f"at step {step}"

        assert receiver.taken("/warehouse") == []
        tried = Counter(message.id for message in receiver.on("/warehouse"))
        assert len(receiver.on("/warehouse")) < 3 * OUTPUTS + 2 * steps, "probes, and not every delivery"
        assert len(tried) < PREDICTIONS * OUTPUTS

        receiver.down.clear()
        back = place.clock.now
        while len(receiver.taken("/warehouse")) < PREDICTIONS * OUTPUTS:
            await place.passes(15)
            assert place.clock.now - back < 3600
        first = receiver.taken("/warehouse")[0]
        assert first.at - back <= 60, "the breaker closes by itself"

        assert all(message.verified for message in receiver.seen)
        assert set(Counter(message.id for message in receiver.taken("/warehouse")).values()) == {1}
        assert set(Counter(message.id for message in receiver.on("/other")).values()) == {1}
        bodies = {(message.id, message.body) for message in receiver.on("/warehouse")}
        assert len(bodies) == PREDICTIONS * OUTPUTS, "the same bytes under one id, whatever the attempt"
        tally = await ledger.reading.tally()
        assert tally["deliveries_delivered"] == PREDICTIONS * (OUTPUTS + 1)
        assert "deliveries_dead" not in tally
        await nothing_was_used_up(ledger)


async def nothing_was_used_up(ledger: Ledger) -> None:
    """The breaker opened at the third attempt of the first hundred; all others were told at their first."""
    attempts: Counter[int] = Counter()
    cursor = None
    while True:
        items, cursor = await ledger.reading.deliveries(200, cursor)
        attempts.update(item["attempts"] for item in items)
        assert {item["state"] for item in items} <= {"delivered"}
        if cursor is None:
            break
    assert max(attempts) <= 4
    assert attempts[1] >= PREDICTIONS * (OUTPUTS + 1) - OUTPUTS
