"""Every attempt on record, and what waits for a hook that is down: neither costs a delivery anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service import keys
from service.clock import rfc3339
from service.hooks import Dead, Delivered, Parked, Retry
from service.ledger.delivery import Attempt
from tests.builders import NOON, RETENTION, jobs
from tests.test_ledger_deliveries import attempt, shown, take, told

if TYPE_CHECKING:
    from service.ledger import Ledger
    from tests.builders import Clock

pytestmark = pytest.mark.anyio


async def history(ledger: Ledger, delivery_id: str) -> list[dict[str, Any]]:
    found = await ledger.reading.delivery(delivery_id)
    assert found is not None
    listed: list[dict[str, Any]] = found.whole()["history"]
    return listed


async def rung(ledger: Ledger) -> int:
    """How many jobs were waiting; none does afterwards."""
    found = len(await jobs(ledger))
    await ledger.redis.delete("rq:queue:catchlight")
    return found


async def test_an_attempt_says_when_how_long_and_what_was_answered(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    await attempt(ledger, id_, Retry(clock.now + 5), None, "no answer within 10 s", ms=10_000)
    clock.advance(5)
    await ledger.sweeping.sweep(10, reclaim=True)
    await attempt(ledger, id_, Retry(clock.now + 5), 503, "answered 503", ms=12, answer='later, "please" 🙂')
    clock.advance(5)
    await ledger.sweeping.sweep(10, reclaim=True)
    await attempt(ledger, id_, Delivered(), ms=7)
    first, second, third = await history(ledger, id_)
    assert first == {
        "at": rfc3339(NOON - 10), "status": None, "ms": 10_000, "error": "no answer within 10 s",
        "answer": "", "probe": False,
    }  # fmt: skip
    assert (second["status"], second["answer"]) == (503, 'later, "please" 🙂')
    assert third == first | {"at": rfc3339(NOON + 9.993), "status": 200, "ms": 7, "error": None}
    assert await ledger.redis.ttl(keys.DELIVERY + id_) > RETENTION, "and they live as long as the delivery"


async def test_the_last_twenty_are_kept_over_all_retries(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    for n in range(25):
        await attempt(ledger, id_, Dead("no", disable=False), 500, "answered 500", ms=n, answer="x" * 1024)
        await ledger.deliveries.send_again([id_])
    assert [one["ms"] for one in await history(ledger, id_)] == list(range(5, 25))
    assert (await shown(ledger, id_))["attempts"] == 0
    taken = await take(ledger, id_)
    assert taken.history == (), "whoever makes the next one does not read all of that"
    (listed,), _ = await ledger.reading.deliveries(9, None)
    assert "history" not in listed


async def test_they_are_the_same_in_the_compact_form_and_after_it(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    said = {"ms": 12, "answer": "it says \x1d, \\/ and ✓"}
    await attempt(ledger, id_, Dead("no", disable=False), 500, "answered 500", **said)
    before = await history(ledger, id_)
    clock.advance(3600)
    assert await ledger.compacting.compact(3600, 10) == (1, 1)
    assert await history(ledger, id_) == before
    await ledger.deliveries.send_again([id_])
    await attempt(ledger, id_, Delivered())
    assert (await history(ledger, id_))[:-1] == before


def test_what_a_newer_version_adds_to_an_attempt_is_left_out() -> None:
    assert Attempt.load('[1.5,200,3,"","ok",0,"more",{}]') == Attempt(1.5, 200, 3, None, "ok")


async def test_what_is_parked_waits_for_its_hook_and_uses_up_nothing(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    assert await ledger.deliveries.park(await take(ledger, id_))
    await rung(ledger)
    clock.advance(86_400)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).redelivered == 0
    delivery = await shown(ledger, id_)
    assert (delivery["state"], delivery["attempts"], delivery["next_attempt_at"]) == ("pending", 0, None)
    assert (await ledger.reading.scaling())["backlog"] == 0
    assert await history(ledger, id_) == []


async def test_one_at_a_time_is_sent_to_see_and_the_first_success_releases_the_others(
    ledger: Ledger, clock: Clock
) -> None:
    ids = [await told(ledger, f"p{n}") for n in range(14)]
    for id_ in ids:
        await ledger.deliveries.park(await take(ledger, id_))
    await rung(ledger)
    assert await ledger.deliveries.ring_probes(["mail", "crm"]) == 1
    (job,) = await jobs(ledger)
    probe = job.split("-")[1]
    await attempt(ledger, probe, Parked(), 503, "answered 503")
    assert [one["probe"] for one in await history(ledger, probe)] == [True]
    assert (await shown(ledger, probe))["attempts"] == 0
    assert (await shown(ledger, probe))["last_status"] == 503

    await rung(ledger)
    assert await ledger.deliveries.ring_probes(["crm"]) == 1
    (job,) = await jobs(ledger)
    await rung(ledger)
    await attempt(ledger, job.split("-")[1], Delivered())
    assert await rung(ledger) == 10, "a few at first"
    for id_ in ids:
        if (taken := await ledger.deliveries.take(id_, 20)) is not None:
            await ledger.deliveries.attempted(taken, Delivered(), status=200, error="", now=clock.now)
    assert await rung(ledger) == 3
    assert await ledger.redis.scard(keys.DELIVERIES_PARKED + "crm") == 0


async def test_what_waits_for_a_disabled_hook_is_neither_rung_nor_released(ledger: Ledger) -> None:
    waiting, under_way = await told(ledger, "p1"), await told(ledger, "p2")
    await ledger.deliveries.park(await take(ledger, waiting))
    taken = await take(ledger, under_way)
    await ledger.deliveries.disable("crm", "by hand", 0)
    await rung(ledger)
    assert await ledger.deliveries.ring_probes(["crm"]) == 0
    await ledger.deliveries.attempted(taken, Delivered(), status=200, error="", now=0)
    assert await rung(ledger) == 0
    await ledger.deliveries.enable("crm")
    assert await rung(ledger) == 1


async def test_how_long_it_has_been_failing_is_known_at_each_attempt(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    assert (await attempt(ledger, id_, Retry(clock.now + 5), 500)).failing_for == 0
    clock.advance(1000)
    await ledger.sweeping.sweep(10, reclaim=True)
    assert (await attempt(ledger, id_, Dead("no", disable=False), 500)).failing_for == 1000
    await ledger.deliveries.send_again([id_])
    assert (await take(ledger, id_)).failing_for == 0, "sent again, it has all of its time anew"
