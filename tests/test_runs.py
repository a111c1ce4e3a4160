"""Bulk runs: exactly what was listed, each member once, at a pace, and what failed again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from service import keys, runs
from service.errors import InvalidInput, LedgerDown, NotFound
from service.hooks import Dead, Delivered
from service.ledger.runs import LIVES, Kind, Left, Order, State, Turn
from service.prediction import Stage
from tests.builders import (
    LEASE,
    NOON,
    accept,
    accept_one,
    callback,
    completed,
    deliveries,
    fields_of,
    finish,
    hook,
    lease,
    ref,
    stage_of,
    timeline,
)

if TYPE_CHECKING:
    from service.ledger import Ledger
    from service.ledger.runs import Run

pytestmark = pytest.mark.anyio

FAST = 10_000.0
REPLAY = Order(Kind.REPLAY, "stage:dead", rate=FAST)
DELIVER = Order(Kind.REPLAY, "stage:done", "deliver", rate=FAST)
RETRY = Order(Kind.RETRY, "state:dead hook:crm", "deliver", rate=FAST)


async def dead(ledger: Ledger, *ids: str) -> None:
    for id_ in ids:
        await accept(ledger, callback(completed(id_)))
        await finish(ledger, id_, Stage.DEAD)


async def told(ledger: Ledger, *ids: str, state: str = "delivered") -> None:
    """Done, with one delivery that has ended, or not yet."""
    for id_ in ids:
        await accept(ledger, callback(completed(id_)))
        await finish(ledger, id_, hooks=[hook()])
        if state != "pending":
            await attempt(ledger, id_, state)


async def attempt(ledger: Ledger, id_: str, state: str = "delivered") -> None:
    for one in await deliveries(ledger, id_):
        taken = await ledger.deliveries.take(one["id"], LEASE)
        if taken is not None:
            decision = Delivered() if state == "delivered" else Dead("answered 500", disable=False)
            await ledger.deliveries.attempted(taken, decision, status=200, error="", now=NOON)


async def replays(ledger: Ledger, *ids: str) -> list[int]:
    return [(await timeline(ledger, id_)).count("replayed") for id_ in ids]


async def left(ledger: Ledger, run: Run) -> dict[str, tuple[str, str]]:
    return {one.member.partition(":")[2]: (one.outcome, one.why) for one in await ledger.runs.left(run.id)}


async def test_it_acts_on_exactly_what_it_listed(ledger: Ledger) -> None:
    await dead(ledger, "p1", "p2")
    run = await runs.plan(ledger, REPLAY)
    assert (run.total, run.oldest, run.state(run.created_at)) == (
        2,
        "2023-11-14T22:13:20.000Z",
        State.PLANNED,
    )
    await dead(ledger, "later")
    run = await runs.carry_on(ledger, run.id)
    assert (run.done, run.skipped, run.failed, run.position) == (2, 0, 0, 2)
    assert [await stage_of(ledger, id_) for id_ in ("p1", "p2", "later")] == ["accepted", "accepted", "dead"]
    assert run.ended_at == NOON
    assert run.state(NOON + 1e9) is State.ENDED


async def test_what_is_no_longer_what_was_listed_is_left_alone_with_a_reason(ledger: Ledger) -> None:
    await dead(ledger, "gone", "moved", "better", "same")
    run = await runs.plan(ledger, REPLAY)
    await ledger.redis.delete(keys.PREDICTION + str(ref("gone")))
    await ledger.predictions.replay(ref("moved"))
    await ledger.predictions.replay(ref("better"))
    await finish(ledger, "better")
    run = await runs.carry_on(ledger, run.id)
    assert (run.done, run.skipped) == (1, 3)
    assert await left(ledger, run) == {
        "gone": ("skipped", "is no longer in the ledger"),
        "moved": ("skipped", "is accepted: on its way"),
        "better": ("skipped", "no longer matches stage:dead"),
    }
    assert await replays(ledger, "moved", "better", "same") == [1, 1, 1]


async def test_one_that_moves_between_the_look_and_the_act_is_left_alone_too(ledger: Ledger) -> None:
    await dead(ledger, "p1")
    run = await runs.plan(ledger, REPLAY)
    await ledger.predictions.replay(ref("p1"))
    turn = Turn(run.id, 0)
    await ledger.predictions.replay(ref("p1"), turn)
    await ledger.predictions.replay(ref("p1"), turn)
    assert await left(ledger, run) == {"p1": ("skipped", "is accepted: on its way")}
    run = await ledger.runs.get(run.id)
    assert (run.position, run.skipped) == (1, 1)


@pytest.mark.parametrize("order", [REPLAY, Order(Kind.REPLAY, "stage:dead", "deliver", FAST)])
async def test_an_interrupted_run_goes_on_and_does_nothing_twice(ledger: Ledger, order: Order) -> None:
    ids = [f"p{n}" for n in range(7)]
    for id_ in ids:
        await accept(ledger, callback(completed(id_)))
        await finish(ledger, id_, Stage.DEAD, hooks=[hook()])
        await attempt(ledger, id_)
    run = await runs.plan(ledger, order)
    seen: list[int] = []
    await runs.carry_on(ledger, run.id, going=lambda: len(seen) < 3, progress=lambda n, _: seen.append(n))
    run = await ledger.runs.get(run.id)
    assert (run.position, run.state(NOON + 1), run.state(NOON + 10**9)) == (
        *(3, State.RUNNING),
        State.INTERRUPTED,
    )
    # Those that were told go on: what is told again is seen by its attempts.
    run = await runs.carry_on(ledger, run.id)
    assert (run.done, run.position) == (7, 7)
    assert (await runs.carry_on(ledger, run.id)).done == 7
    if order.step == "fetch":
        assert await replays(ledger, *ids) == [1] * 7
    else:
        rung = [await ledger.redis.hget(keys.DELIVERY + one["id"], "rings") for id_ in ids
                for one in await deliveries(ledger, id_)]  # fmt: skip
        assert rung == ["2"] * 7


async def test_two_that_carry_it_out_at_once_do_each_member_once(ledger: Ledger) -> None:
    ids = [f"p{n}" for n in range(20)]
    await dead(ledger, *ids)
    run = await runs.plan(ledger, REPLAY)
    await asyncio.gather(*(runs.carry_on(ledger, run.id) for _ in range(3)))
    assert await replays(ledger, *ids) == [1] * 20
    assert (await ledger.runs.get(run.id)).done == 20


async def test_it_keeps_to_its_rate(ledger: Ledger) -> None:
    await dead(ledger, *(f"p{n}" for n in range(5)))
    run = await runs.plan(ledger, Order(Kind.REPLAY, "stage:dead", rate=20))
    assert run.seconds == 0.25
    began = time.monotonic()
    await runs.carry_on(ledger, run.id)
    assert time.monotonic() - began >= 4 / 20


async def test_events_keep_their_ids_and_their_bytes(ledger: Ledger) -> None:
    await told(ledger, "p1")
    before = await ledger.redis.hgetall(keys.EVENTS + str(ref()))
    await runs.carry_on(ledger, (await runs.plan(ledger, DELIVER)).id)
    (one,) = await deliveries(ledger, "p1")
    assert (one["state"], one["attempts"]) == ("pending", 0)
    assert await ledger.redis.hgetall(keys.EVENTS + str(ref())) == before


async def test_new_ids_are_told_beside_the_old_ones_with_the_same_bytes(ledger: Ledger) -> None:
    await told(ledger, "p1")
    order = Order(Kind.REPLAY, "id:p1", "deliver", FAST, new_id=True)
    first = await runs.carry_on(ledger, (await runs.plan(ledger, order)).id)
    assert first.done == 1
    old, new = sorted(await deliveries(ledger, "p1"), key=lambda one: str(one["state"]))
    assert (old["state"], new["state"], old["hook"] == new["hook"]) == ("delivered", "pending", True)
    bodies: dict[str, str] = await ledger.redis.hgetall(keys.EVENTS + str(ref()))  # type: ignore[assignment]  # decoded
    assert bodies[old["event_id"]] == bodies[new["event_id"]]
    assert old["event_id"] != new["event_id"]
    # The same body goes to the same hook once, however often it has been told.
    await attempt(ledger, "p1")
    await ledger.compacting.compact(0, 10)
    await runs.carry_on(ledger, (await runs.plan(ledger, order)).id)
    assert len(await deliveries(ledger, "p1")) == 3


@pytest.mark.parametrize("new_id", [False, True])
async def test_a_replay_from_the_fetch_is_a_new_occasion_only_when_asked(
    ledger: Ledger, new_id: bool
) -> None:
    await told(ledger, "p1")
    order = Order(Kind.REPLAY, "stage:done", rate=FAST, new_id=new_id)
    await runs.carry_on(ledger, (await runs.plan(ledger, order)).id)
    await finish(ledger, "p1", hooks=[hook()])
    assert len({one["event_id"] for one in await deliveries(ledger, "p1")}) == (2 if new_id else 1)


async def test_deliveries_are_retried_by_a_query(ledger: Ledger) -> None:
    await told(ledger, "p1", "p2", "p3", state="dead")
    await told(ledger, "p4")
    run = await runs.plan(ledger, RETRY)
    assert run.total == 3
    (mended,) = await deliveries(ledger, "p1")
    (waiting,) = await deliveries(ledger, "p2")
    await ledger.deliveries.send_again([mended["id"], waiting["id"]])
    await attempt(ledger, "p1")
    run = await runs.carry_on(ledger, run.id)
    assert (run.done, run.skipped) == (1, 2)
    assert {one.member: one.why for one in await ledger.runs.left(run.id)} == {
        mended["id"]: "no longer matches state:dead hook:crm",
        waiting["id"]: "is pending: on its way",
    }
    assert await runs.became(ledger, run) == {(await deliveries(ledger, "p3"))[0]["id"]: "pending"}


async def test_nothing_to_tell_is_a_reason(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger)
    for new_id, why in ((False, "has no delivery that has ended"), (True, "has no delivery")):
        run = await runs.plan(ledger, Order(Kind.REPLAY, "id:p1", "deliver", FAST, new_id=new_id))
        run = await runs.carry_on(ledger, run.id)
        assert await left(ledger, run) == {"p1": ("skipped", why)}


async def test_its_failures_are_run_again_as_a_run_of_their_own(ledger: Ledger) -> None:
    await dead(ledger, "p1", "p2", "p3", "broken")
    await ledger.compacting.compact(0, 10)
    whole = await fields_of(ledger, "broken")
    await ledger.redis.hset(keys.PREDICTION + str(ref("broken")), "z0", "unreadable")
    run = await runs.carry_on(ledger, (await runs.plan(ledger, Order(Kind.REPLAY, "id:*", rate=FAST))).id)
    assert (run.done, run.failed) == (3, 1)
    assert "cannot be read" in (await left(ledger, run))["broken"][1]
    await finish(ledger, "p1")
    await finish(ledger, "p2", Stage.EXPIRED)
    shown = await runs.shown(ledger, run)
    assert shown["became"] == {"done": 1, "expired": 1, "accepted": 1}

    await ledger.redis.hset(keys.PREDICTION + str(ref("broken")), "z0", whole["z0"])
    again = await runs.again(ledger, run.id, rate=500)
    assert (again.total, again.order.again_of, again.order.rate) == (2, run.id, 500)
    again = await runs.carry_on(ledger, again.id)
    assert again.done == 2
    assert await replays(ledger, "p1", "p2", "p3", "broken") == [1, 2, 1, 1]


@pytest.mark.parametrize(("order", "word"), [(DELIVER, "dead"), (RETRY, "dead")])
async def test_what_a_hook_refused_again_is_a_failure(ledger: Ledger, order: Order, word: str) -> None:
    await told(ledger, "p1", "p2", state="dead")
    run = await runs.carry_on(ledger, (await runs.plan(ledger, order)).id)
    assert run.done == 2
    await attempt(ledger, "p1", "dead")
    await attempt(ledger, "p2")
    assert sorted((await runs.became(ledger, run)).values()) == [word, "delivered"]
    (failure,) = await runs.failures(ledger, run)
    (mine,) = await deliveries(ledger, "p1")
    assert failure in (mine["id"], str(ref("p1")))


async def test_ages_are_those_of_when_it_was_planned(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await dead(ledger, "p1")
    monkeypatch.setattr("service.clock.now", lambda: NOON + 3600)
    run = await runs.plan(ledger, Order(Kind.REPLAY, "since:2h", rate=FAST))
    monkeypatch.setattr("service.clock.now", lambda: NOON + 10_000)
    assert (await runs.carry_on(ledger, run.id)).done == 1


async def test_what_is_empty_ends_at_once(ledger: Ledger) -> None:
    run = await runs.plan(ledger, REPLAY)
    assert (run.total, run.oldest) == (0, None)
    run = await runs.carry_on(ledger, run.id)
    assert run.state(NOON) is State.ENDED


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (Order(Kind.REPLAY, " "), "query"),
        (Order(Kind.REPLAY, "stage:lost"), "query"),
        (Order(Kind.RETRY, "stage:dead"), "query"),
        (Order(Kind.REPLAY, "stage:dead", rate=0), "rate"),
        (Order(Kind.REPLAY, "stage:dead", rate=1e-308), "rate"),
        (Order(Kind.REPLAY, "stage:dead", rate=float("nan")), "rate"),
        (Order(Kind.REPLAY, "stage:dead", rate=1e9), "rate"),
    ],
)
async def test_an_order_that_cannot_be_is_named(ledger: Ledger, order: Order, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await runs.plan(ledger, order)
    assert refused.value.field == field
    assert await ledger.runs.latest(5) == []


async def test_too_many_are_not_planned(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MEMBERS_MOST", 1)
    await dead(ledger, "p1", "p2")
    with pytest.raises(InvalidInput, match="narrow it"):
        await runs.plan(ledger, REPLAY)


async def test_runs_are_listed_newest_first_and_forgotten(ledger: Ledger) -> None:
    await dead(ledger, "p1", "p2")
    first, second = [await runs.plan(ledger, REPLAY) for _ in range(2)]
    await ledger.runs.settle(Turn(first.id, 0), Left("main:p1", "skipped", "why not"))
    assert [run.id for run in await ledger.runs.latest(5)] == [second.id, first.id]
    for key in (keys.RUN, keys.RUN_MEMBERS, keys.RUN_LEFT):
        assert 0 < await ledger.redis.ttl(key + first.id) <= LIVES
    await ledger.runs.plan(REPLAY, [], None, None, first.created_at + LIVES + 5)
    assert len(await ledger.runs.latest(5)) == 1
    with pytest.raises(NotFound):
        await ledger.runs.get("run_no")


async def test_when_redis_goes_the_run_waits_where_it_is(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await dead(ledger, "p1", "p2")
    run = await runs.plan(ledger, REPLAY)
    whole = ledger.predictions.replay

    async def goes(*arguments: Any, **more: Any) -> Any:
        if str(arguments[0]).endswith("p2"):
            raise LedgerDown("Redis does not answer")
        return await whole(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(ledger.predictions, "replay", goes)
        with pytest.raises(LedgerDown):
            await runs.carry_on(ledger, run.id)
    assert (await ledger.runs.get(run.id)).position == 1
    assert (await runs.carry_on(ledger, run.id)).done == 2


async def test_a_review_takes_a_prediction_out_of_a_run_as_well(ledger: Ledger) -> None:
    await dead(ledger, "p1")
    run = await runs.plan(ledger, REPLAY)
    assert await accept_one(ledger, callback(completed("p1", "f"))) == "known"
    await ledger.predictions.replay(ref("p1"))
    await lease(ledger, "p1")
    run = await runs.carry_on(ledger, run.id)
    assert await left(ledger, run) == {"p1": ("skipped", "is working: on its way")}
