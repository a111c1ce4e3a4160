from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service import keys
from service.hooks import Dead, Delivered, Parked, Retry
from service.ledger.query import DeliveryQuery
from service.prediction import Disposition, Step
from tests.builders import (
    RETENTION,
    Clock,
    accept,
    callback,
    completed,
    deliveries,
    finish,
    hook,
    jobs,
    output,
    ref,
    timeline,
)

if TYPE_CHECKING:
    from service.ledger import DeliveryRecord, Ledger

pytestmark = pytest.mark.anyio

ATTEMPT = 20.0
GONE = Dead("the hook answered 410, gone", disable=True)


async def told(ledger: Ledger, id_: str = "p1", name: str = "crm") -> str:
    """A prediction that has ended, and the id of its one delivery."""
    await accept(ledger, callback(completed(id_)))
    await finish(ledger, id_, hooks=[hook(name)], outputs=[output()])
    return str((await deliveries(ledger, id_))[0]["id"])


async def take(ledger: Ledger, delivery_id: str) -> DeliveryRecord:
    taken = await ledger.deliveries.take(delivery_id, ATTEMPT)
    assert taken is not None
    return taken


async def attempt(
    ledger: Ledger,
    delivery_id: str,
    decision: Delivered | Retry | Parked | Dead,
    status: int | None = 200,
    error: str = "",
    **more: Any,
) -> DeliveryRecord:
    taken = await take(ledger, delivery_id)
    now = ledger_now(ledger)
    assert await ledger.deliveries.attempted(taken, decision, status=status, error=error, now=now, **more)
    return taken


def ledger_now(ledger: Ledger) -> float:
    virtual = ledger.predictions._scripts._virtual_now
    assert virtual is not None
    return virtual()


async def shown(ledger: Ledger, delivery_id: str) -> dict[str, Any]:
    found = await ledger.reading.delivery(delivery_id)
    assert found is not None
    return found.public()


async def test_a_delivery_is_taken_by_one_with_its_body(ledger: Ledger) -> None:
    id_ = await told(ledger)
    taken = await take(ledger, id_)
    assert taken.body.startswith('{"type":"prediction.completed"')
    assert taken.event_id.startswith("evt_")
    assert await ledger.deliveries.take(id_, ATTEMPT) is None
    assert await ledger.deliveries.take("dlv_unknown", ATTEMPT) is None


async def test_a_delivered_one_is_done_and_will_be_forgotten(ledger: Ledger) -> None:
    id_ = await told(ledger)
    await attempt(ledger, id_, Delivered())
    delivery = await shown(ledger, id_)
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("delivered", 1, 200)
    assert delivery["next_attempt_at"] is None
    assert await ledger.redis.ttl(keys.DELIVERY + id_) > RETENTION
    assert (await timeline(ledger))[-1] == Step.DELIVERED
    assert await ledger.deliveries.take(id_, ATTEMPT) is None
    assert (await ledger.reading.scaling())["deliveries_due"] == 0


async def test_a_retry_waits_for_its_instant_whatever_rings_meanwhile(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    await attempt(ledger, id_, Retry(clock.now + 300), 503, "answered 503")
    delivery = await shown(ledger, id_)
    assert (delivery["state"], delivery["attempts"], delivery["error"]) == ("pending", 1, "answered 503")
    assert await ledger.deliveries.take(id_, ATTEMPT) is None
    clock.advance(299)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).redelivered == 0
    clock.advance(1)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).redelivered == 1
    assert (await take(ledger, id_)).attempts == 1


async def test_one_in_somebodys_hands_is_not_rung_while_nothing_is_reclaimed(
    ledger: Ledger, clock: Clock
) -> None:
    """Just after an outage or a step of the clock nobody's time has run out; a hook would hear it twice."""
    id_ = await told(ledger)
    await take(ledger, id_)
    clock.advance(ATTEMPT + 1)
    assert (await ledger.sweeping.sweep(10, reclaim=False)).redelivered == 0
    clock.advance(1)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).redelivered == 1


async def test_every_attempt_sends_the_same_bytes_under_the_same_id(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed(payload={}), source="main"))
    odd = output(error='"\\ 🙂\x00\u2028', uri=None)
    await finish(ledger, hooks=[hook()], outputs=[odd])
    id_ = (await deliveries(ledger))[0]["id"]
    first = await attempt(ledger, id_, Retry(clock.now + 5), None, "refused")
    clock.advance(5)
    await ledger.sweeping.sweep(10, reclaim=True)
    second = await attempt(ledger, id_, Delivered())
    assert await ledger.deliveries.send_again([id_, "dlv_unknown"]) == 1
    third = await take(ledger, id_)
    assert third.attempts == 0
    assert len({(one.event_id, one.body) for one in (first, second, third)}) == 1
    assert "🙂" in first.body


async def test_a_dead_delivery_rests_until_it_is_sent_again(ledger: Ledger) -> None:
    id_ = await told(ledger)
    await attempt(ledger, id_, Dead("no answer, after 10 attempts", disable=False), None, "no answer")
    assert (await shown(ledger, id_))["state"] == "dead"
    assert await ledger.deliveries.take(id_, ATTEMPT) is None
    assert "disabled" not in await ledger.deliveries.hook_state("crm")
    assert await ledger.deliveries.send_again([id_]) == 1
    assert await ledger.redis.ttl(keys.DELIVERY + id_) == -1
    assert (await take(ledger, id_)).error is None


async def test_a_hook_that_is_gone_parks_what_comes_later_until_it_is_enabled(ledger: Ledger) -> None:
    first = await told(ledger, "p1")
    await attempt(ledger, first, GONE, 410, "answered 410")
    assert (await ledger.deliveries.hook_state("crm"))["why"] == "answered 410"
    later = [await told(ledger, id_) for id_ in ("p2", "p3")]
    for id_ in later:
        assert await ledger.deliveries.take(id_, ATTEMPT) is None
        assert (await shown(ledger, id_))["state"] == "pending"
    assert (await ledger.reading.scaling())["deliveries_due"] == 0
    other = await told(ledger, "p4", "mail")
    await attempt(ledger, other, Delivered())

    await ledger.redis.delete("rq:queue:catchlight")
    await ledger.deliveries.enable("crm")
    assert await ledger.deliveries.hook_state("crm") == {}
    assert len(await jobs(ledger)) == 2
    for id_ in later:
        await attempt(ledger, id_, Delivered())
    assert (await shown(ledger, first))["state"] == "dead", "410 was its end"


async def test_what_is_sent_again_while_parked_waits_in_one_place(ledger: Ledger) -> None:
    await ledger.deliveries.disable("crm", "by hand", 0)
    id_ = await told(ledger)
    await ledger.deliveries.take(id_, ATTEMPT)
    await ledger.deliveries.send_again([id_])
    assert await ledger.redis.scard(keys.DELIVERIES_PARKED + "crm") == 0
    await ledger.deliveries.enable("crm")
    await attempt(ledger, id_, Delivered())


async def test_an_operator_may_disable_a_hook(ledger: Ledger, clock: Clock) -> None:
    await ledger.deliveries.disable("crm", "by hand", clock.now)
    id_ = await told(ledger)
    assert await ledger.deliveries.take(id_, ATTEMPT) is None
    assert (await ledger.deliveries.hook_state("crm"))["why"] == "by hand"


async def test_enabling_rings_however_many_were_parked(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.ledger.deliveries._ENABLE_BATCH", 2)
    await ledger.deliveries.disable("crm", "by hand", 0)
    ids = [await told(ledger, f"p{n}") for n in range(5)]
    for id_ in ids:
        await ledger.deliveries.take(id_, ATTEMPT)
    await ledger.deliveries.enable("crm")
    assert [await ledger.deliveries.take(id_, ATTEMPT) is not None for id_ in ids] == [True] * 5


async def test_what_is_postponed_was_not_attempted(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    assert await ledger.deliveries.postpone(await take(ledger, id_), 2)
    assert (await shown(ledger, id_))["attempts"] == 0
    clock.advance(2)
    await ledger.sweeping.sweep(10, reclaim=True)
    assert (await take(ledger, id_)).attempts == 0


async def test_an_attempt_whose_worker_died_is_made_again(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    lost = await take(ledger, id_)
    clock.advance(ATTEMPT - 0.1)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).redelivered == 0
    clock.advance(0.1)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).redelivered == 1
    again = await take(ledger, id_)
    assert again.token != lost.token
    late = ledger.deliveries.attempted(lost, Delivered(), status=200, error="", now=clock.now)
    assert not await late, "who wakes up late writes nothing"
    assert (await shown(ledger, id_))["state"] == "pending"


async def test_sending_again_voids_the_attempt_under_way(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    old = await take(ledger, id_)
    await ledger.deliveries.send_again([id_])
    assert not await ledger.deliveries.attempted(old, Delivered(), status=200, error="", now=clock.now)
    await attempt(ledger, id_, Delivered())


async def test_a_delivery_lost_from_the_queue_rings_after_the_guard(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    await ledger.redis.delete("rq:queue:catchlight")
    clock.advance(6)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).redelivered == 1
    await attempt(ledger, id_, Delivered())


async def test_nothing_is_sent_of_what_was_forgotten(ledger: Ledger, clock: Clock) -> None:
    id_ = await told(ledger)
    await ledger.redis.delete(keys.EVENTS + str(ref()))
    assert await ledger.deliveries.take(id_, ATTEMPT) is None
    assert await ledger.reading.delivery(id_) is None


async def test_a_replay_sends_what_the_fetch_found_under_the_same_id(ledger: Ledger) -> None:
    id_ = await told(ledger)
    first = await attempt(ledger, id_, Delivered())
    await ledger.predictions.replay(ref())
    lost = output(0, Disposition.LOST, uri=None, sha256=None, error="outputs_gone")
    await finish(ledger, hooks=[hook()], outputs=[lost, output(1)])
    second = await take(ledger, id_)
    assert second.event_id == first.event_id
    assert second.body != first.body
    assert second.attempts == 0


async def test_lists_of_deliveries_filter_and_page_exactly(ledger: Ledger) -> None:
    ids = [await told(ledger, f"p{n}", "crm" if n % 2 else "mail") for n in range(6)]
    await attempt(ledger, ids[0], Delivered())
    page, cursor = await ledger.reading.deliveries(4, None)
    assert [one["id"] for one in page] == ids[:1:-1]
    await told(ledger, "newer")
    rest, _ = await ledger.reading.deliveries(4, cursor)
    assert [one["id"] for one in rest] == ids[1::-1]
    crm, _ = await ledger.reading.deliveries(9, cursor, DeliveryQuery(hook="crm"))
    assert [one["id"] for one in crm] == [ids[1]]
    delivered, end = await ledger.reading.deliveries(9, None, DeliveryQuery(state="delivered"))
    assert ([one["id"] for one in delivered], end) == ([ids[0]], None)
