"""A hook that fails: its operator is told at half of its failure budget, at nine tenths, and at its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from service import keys
from service.hooks import Delivered, Hook, Outage, Retry, due, hears_of_hooks
from service.settings import Settings
from tests.builders import NOON, RETENTION, accept, callback, completed, deliveries, finish, hook, output
from workers.downstream import Downstream

if TYPE_CHECKING:
    from service.hooks import Dead
    from service.ledger import Ledger
    from tests.builders import Clock

pytestmark = pytest.mark.anyio

SCHEDULE = (100.0, 400.0, 500.0)
HOOKS = (
    hook("crm", events=["prediction.*", "hook.*"]),
    hook("pager", events=["hook.*"]),
    hook("all", events=["*"], models=["other/*"]),
)


@pytest.mark.parametrize(
    ("seconds", "noticed", "thresholds"),
    [
        (499, 0, []),
        (500, 0, [50]),
        (899, 50, []),
        (900, 50, [90]),
        (1000, 90, [100]),
        (9999, 100, []),
        (9999, 0, [50, 90, 100]),
    ],
)
async def test_each_threshold_is_due_once(seconds: float, noticed: int, thresholds: list[int]) -> None:
    assert due(Outage("1", seconds, noticed), SCHEDULE) == thresholds


@pytest.mark.parametrize(
    ("events", "hears"),
    [(["hook.*"], True), (["prediction.*", "hook.failing"], True), (["*"], False), (["hook.ping"], False)],
)
async def test_only_who_asks_for_it_hears_of_other_hooks(events: list[str], hears: bool) -> None:
    assert hears_of_hooks(hook(events=events), "hook.failing") is hears


class Place:
    def __init__(self, ledger: Ledger, clock: Clock, hooks: tuple[Hook, ...] = HOOKS) -> None:
        self.ledger, self.clock, self.hooks = ledger, clock, hooks
        settings = Settings.model_validate({"hooks": list(hooks), "hook_schedule": "100s,400s,500s"})
        self._downstream = Downstream(settings, ledger)

    async def attempt(self, id_: str, decision: Delivered | Retry | Dead) -> None:
        await accept(self.ledger, callback(completed(id_)))
        await finish(self.ledger, id_, hooks=self.hooks, outputs=[output()])
        (delivery,) = await deliveries(self.ledger, id_)
        taken = await self.ledger.deliveries.take(delivery["id"], 20)
        assert taken is not None
        error = "" if isinstance(decision, Delivered) else "answered 500"
        await self.ledger.deliveries.attempted(
            taken, decision, status=500 if error else 200, error=error, now=self.clock.now
        )

    async def notices(self) -> list[int]:
        """What is said in the log at one look."""
        with capture_logs() as lines:
            await self._downstream.notice()
        return [line["percent"] for line in lines if line["event"] == "hook.failing"]

    async def told(self) -> list[dict[str, Any]]:
        """The deliveries about hooks, oldest first."""
        items, _ = await self.ledger.reading.deliveries(200, None)
        return [item for item in reversed(items) if item["event"] == "hook.failing"]


async def test_an_outage_is_told_of_three_times_and_the_next_one_anew(ledger: Ledger, clock: Clock) -> None:
    place = Place(ledger, clock)
    assert await place.notices() == []
    await place.attempt("p1", Retry(clock.now + 9e5))
    said = []
    for _ in range(12):
        clock.advance(100)
        said.append(await place.notices())
    assert said == [[], [], [], [], [50], [], [], [], [90], [100], [], []]

    told = await place.told()
    assert [(one["hook"], one["prediction"], one["source"]) for one in told] == [("pager", None, None)] * 3
    assert len({one["event_id"] for one in told}) == 3
    taken = await ledger.deliveries.take(told[0]["id"], 20)
    assert taken is not None
    body = json.loads(taken.body)
    assert body["type"] == "hook.failing"
    assert body["data"] == {
        "hook": "crm", "percent": 50, "failing_since": "2023-11-14T22:13:20.000Z", "budget_seconds": 1000,
    }  # fmt: skip
    assert await ledger.deliveries.attempted(taken, Delivered(), status=200, error="", now=clock.now)

    await place.attempt("p2", Delivered())
    clock.advance(5_000)
    assert await place.notices() == []
    await place.attempt("p3", Retry(clock.now + 9e5))
    clock.advance(500)
    assert await place.notices() == [50]
    assert len({one["event_id"] for one in await place.told()}) == 4


async def test_a_late_look_tells_of_all_that_was_passed_and_two_sweepers_tell_once(
    ledger: Ledger, clock: Clock
) -> None:
    place, other = Place(ledger, clock), Place(ledger, clock)
    await place.attempt("p1", Retry(clock.now + 9e5))
    clock.advance(2_000)
    assert (await place.notices(), await other.notices()) == ([50, 90, 100], [])


async def test_a_disabled_hook_is_not_failing_and_begins_anew_when_it_is_enabled(
    ledger: Ledger, clock: Clock
) -> None:
    place = Place(ledger, clock)
    await place.attempt("p1", Retry(clock.now + 9e5))
    await ledger.deliveries.disable("crm", "by hand", clock.now)
    clock.advance(2_000)
    assert await place.notices() == []
    await ledger.deliveries.enable("crm")
    assert await place.notices() == []


async def test_where_nobody_asks_for_it_the_log_alone_says_so(ledger: Ledger, clock: Clock) -> None:
    place = Place(ledger, clock, (hook("crm"),))
    await place.attempt("p1", Retry(clock.now + 9e5))
    clock.advance(600)
    assert await place.notices() == [50]
    assert await place.told() == []
    assert await ledger.deliveries.outage("crm") == Outage(f"{NOON:.3f}", 600, 50)


async def test_what_tells_of_a_hook_is_forgotten_like_all_else(ledger: Ledger, clock: Clock) -> None:
    place = Place(ledger, clock)
    await place.attempt("p1", Retry(clock.now + 9e5))
    clock.advance(600)
    await place.notices()
    (told,) = await place.told()
    names = [f"{prefix}:{told['event_id']}" for prefix in (keys.EVENTS, keys.OUTBOX, keys.TIMELINE)]
    assert [await ledger.redis.ttl(name) > RETENTION for name in names] == [True] * 3
    clock.advance(RETENTION + 1)
    await ledger.sweeping.trim(100)
    assert await place.told() == []
    assert not await ledger.redis.exists(*names)
