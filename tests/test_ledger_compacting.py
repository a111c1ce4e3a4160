"""An ended prediction becomes compact, nobody sees it, and whatever comes for it later finds all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service import events, keys
from service.errors import Conflict
from service.hooks import Dead, Delivered, Retry
from service.ledger import Commit, Ledger, compact, finding, reading
from service.ledger.query import Query
from service.prediction import Disposition, Reason, Stage, Step, Via
from service.review import Decision
from tests.builders import (
    NOON,
    RETENTION,
    Clock,
    accept,
    accept_one,
    callback,
    completed,
    deliveries,
    failed,
    fields_of,
    finish,
    hook,
    jobs,
    lease,
    output,
    ref,
    stage_of,
    timeline,
    tracked,
)

if TYPE_CHECKING:
    from service.events import Event

pytestmark = pytest.mark.anyio

AFTER = 3600.0
HELD, STORED = Disposition.HELD, Disposition.STORED


async def deliver(ledger: Ledger, decision: Delivered | Dead | Retry, id_: str = "p1") -> list[str]:
    """One attempt of each delivery; the bodies."""
    bodies = []
    for one in await deliveries(ledger, id_):
        if taken := await ledger.deliveries.take(one["id"], 20):
            bodies.append(taken.body)
            assert await ledger.deliveries.attempted(taken, decision, status=200, error="", now=NOON)
    return bodies


async def ended(ledger: Ledger, id_: str = "p1", nsfw: str = "c", *, to: Stage = Stage.DONE) -> list[str]:
    """Done, told, delivered; the bodies that the hook has seen."""
    await accept(ledger, callback(completed(id_, nsfw=nsfw)))
    outputs = [output(i, STORED if flag == "c" else HELD) for i, flag in enumerate(nsfw)]
    await finish(ledger, id_, to, hooks=[hook()], outputs=outputs)
    return await deliver(ledger, Delivered(), id_)


async def compacted(ledger: Ledger, clock: Clock) -> int:
    clock.advance(AFTER)
    _, done = await ledger.compacting.compact(AFTER, 100)
    return done


async def test_what_becomes_compact_while_it_is_looked_for_by_its_hook_is_found(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hooks stand beside it before, and in it afterwards."""

    async def and_then(redis: Any, refs: Any) -> dict[str, set[str]]:
        hooks = await finding.hooks_of(redis, refs)
        assert await compacted(ledger, clock) == 1
        return hooks

    await ended(ledger)
    monkeypatch.setattr(reading, "hooks_of", and_then)
    assert await ledger.reading.still(Query(hook="crm"), ref()) is not None
    monkeypatch.undo()
    assert await ledger.reading.still(Query(hook="crm"), ref()) is not None
    assert await ledger.reading.still(Query(hook="mail"), ref()) is None


async def is_compact(ledger: Ledger, id_: str = "p1") -> bool:
    return compact.is_compact(await fields_of(ledger, id_))


async def shown(ledger: Ledger, id_: str = "p1") -> dict[str, Any] | None:
    return await ledger.reading.prediction(ref(id_))


async def everything(ledger: Ledger) -> list[Any]:
    """All that anybody is shown, of any prediction."""
    page, _ = await ledger.reading.page(Query(), 50, None)
    listed, _ = await ledger.reading.deliveries(50, None)
    waiting, _ = await ledger.reading.held(Query(), 50, None)
    one_by_one = [await shown(ledger, item["id"]) for item in page]
    found = [await ledger.reading.delivery(one["id"]) for one in listed]
    counts, tally = await ledger.reading.counts(), await ledger.reading.tally()
    return [page, listed, waiting, one_by_one, found, counts, tally]


async def test_what_anybody_is_shown_stays_the_same(ledger: Ledger, clock: Clock) -> None:
    await ended(ledger, "p1", "cf")
    await ended(ledger, "p2", to=Stage.DEAD)
    await accept(ledger, callback(failed("p3")))
    await finish(ledger, "p3", Stage.FAILED, hooks=[hook()])
    await deliver(ledger, Dead("gone", disable=False), "p3")
    await accept(ledger, tracked("p4", metadata={"a": "é 🙂"}))
    await ledger.predictions.commit(ref("p4"), Stage.AWAITED, "", Commit(Stage.EXPIRED, Reason.DEADLINE))
    await accept(ledger, callback(completed("p5")))
    before, records = await everything(ledger), [await ledger.reading.record(ref(f"p{n}")) for n in (1, 3)]
    assert await compacted(ledger, clock) == 4
    assert await everything(ledger) == before
    for id_ in ("p1", "p2", "p3", "p4"):
        assert await is_compact(ledger, id_)
        for prefix in (keys.TIMELINE, keys.EVENTS, keys.OUTBOX):
            assert not await ledger.redis.exists(f"{prefix}{ref(id_)}")
    assert [await ledger.reading.record(ref(f"p{n}")) for n in (1, 3)] == records
    assert await ledger.redis.zcard(keys.SETTLED) == 0


async def test_what_has_just_ended_or_is_at_work_does_not(ledger: Ledger, clock: Clock) -> None:
    await ended(ledger, "p1")
    await accept(ledger, callback(completed("p2")))
    clock.advance(AFTER - 1)
    assert await ledger.compacting.compact(AFTER, 100) == (0, 0)
    await ledger.predictions.replay(ref("p1"))
    clock.advance(1)
    assert await ledger.compacting.compact(AFTER, 100) == (0, 0)
    assert await ledger.redis.zcard(keys.SETTLED) == 0
    await finish(ledger, "p1", hooks=[hook()], outputs=[output()])
    await deliver(ledger, Delivered())
    assert await compacted(ledger, clock) == 1


async def test_whose_deliveries_have_not_ended_comes_again(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger, hooks=[hook()], outputs=[output()])
    await deliver(ledger, Retry(NOON + 2 * AFTER))
    clock.advance(AFTER)
    assert await ledger.compacting.compact(AFTER, 100) == (1, 0)
    assert await ledger.compacting.compact(AFTER, 100) == (0, 0)
    await ledger.sweeping.sweep(100, reclaim=True)
    assert await deliver(ledger, Delivered()) == []
    clock.advance(AFTER)
    await ledger.sweeping.sweep(100, reclaim=True)
    assert await deliver(ledger, Delivered()) != []
    assert await ledger.compacting.compact(AFTER, 100) == (1, 1)


@pytest.mark.parametrize("change", ["line", "work", "delivery"])
async def test_what_changes_while_it_is_read_stays_as_it_is(
    ledger: Ledger, clock: Clock, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(ledger)
    read = ledger.compacting._read

    async def read_and_change(refs: Any) -> Any:
        found = await read(refs)
        if change == "line":
            await accept(ledger, callback(completed()))
        elif change == "work":
            await ledger.predictions.replay(ref())
        else:
            await ledger.deliveries.send_again(await ledger.reading.deliveries_of(ref()))
        return found

    monkeypatch.setattr(ledger.compacting, "_read", read_and_change)
    clock.advance(AFTER)
    assert await ledger.compacting.compact(AFTER, 100) == (1, 0)
    assert not await is_compact(ledger)


async def test_all_of_it_still_goes_with_its_retention(ledger: Ledger, clock: Clock) -> None:
    await ended(ledger, "p1", "cf")
    before = set(await ledger.redis.keys("rq:*"))
    await compacted(ledger, clock)
    (first, second) = await deliveries(ledger)
    for key in (keys.PREDICTION + str(ref()), keys.DELIVERY + first["id"], keys.DELIVERY + second["id"]):
        assert RETENTION < await ledger.redis.ttl(key) <= RETENTION + 86_400
    clock.advance(RETENTION)
    assert await ledger.sweeping.trim(10) == 1
    # How a hook did is counted by the hour, and goes two days later.
    left = set(await ledger.redis.keys("*")) - before - set(await ledger.redis.keys(f"{keys.HOOK_HOUR}*"))
    assert left == {keys.TALLY, keys.SEQUENCE, keys.MARKED, keys.SCHEMA}


async def test_a_duplicate_leaves_its_line_and_nothing_that_lives_for_ever(
    ledger: Ledger, clock: Clock
) -> None:
    await ended(ledger)
    await compacted(ledger, clock)
    before = await timeline(ledger)
    assert await accept_one(ledger, callback(completed())) == "known"
    assert await accept_one(ledger, callback(failed())) == "known"
    assert await accept_one(ledger, tracked(metadata={"colour": "blue"})) == "known"
    assert await timeline(ledger) == [
        *before,
        *(Step.CALLED_BACK, Step.CONTRADICTED, Step.CALLED_BACK, Step.TRACKED),
    ]
    found = await shown(ledger)
    assert found is not None
    assert found["metadata"] == {"colour": "blue"}
    assert await is_compact(ledger)
    assert 0 < await ledger.redis.ttl(keys.TIMELINE + str(ref())) <= RETENTION + 86_400


async def test_a_stricter_duplicate_brings_it_back_to_work(ledger: Ledger, clock: Clock) -> None:
    await ended(ledger)
    await compacted(ledger, clock)
    assert await accept_one(ledger, callback(completed(nsfw="f"))) == "advanced"
    waiting = await shown(ledger)
    assert waiting is not None
    assert (waiting["stage"], waiting["finished_at"], len(waiting["outputs"])) == ("accepted", None, 1)
    record = await lease(ledger)
    assert record.outputs == (output(),)
    assert not await is_compact(ledger)
    assert await ledger.reading.record(ref()) == record
    assert await ledger.redis.ttl(keys.EVENTS + str(ref())) == -1
    held = [output(0, HELD)]
    assert await ledger.predictions.commit(
        ref(), Stage.WORKING, record.token, Commit(Stage.DONE, outputs=held, events=told(record, held))
    )
    events = sorted((one["event"], one["state"]) for one in await deliveries(ledger))
    assert events == [("output.held", "pending"), ("prediction.completed", "delivered")]


def told(record: Any, outputs: Any) -> list[Event]:
    public = record.public() | {"stage": Stage.DONE, "outputs": outputs}
    return events.of_prediction(record.ref, record.generation, public, [hook()], NOON)


async def test_a_stricter_duplicate_of_a_dead_one_with_a_stored_file(ledger: Ledger, clock: Clock) -> None:
    await ended(ledger, "p1", to=Stage.DEAD)
    await accept(ledger, callback(completed("p2")))
    await finish(ledger, "p2", Stage.DEAD, outputs=[output(0, Disposition.LOST)])
    assert await compacted(ledger, clock) == 2
    assert await accept_one(ledger, callback(completed("p1", nsfw="f"))) == "advanced"
    assert await accept_one(ledger, callback(completed("p2", nsfw="f"))) == "known"


async def test_a_late_completion_after_a_failure_or_a_deadline(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(failed("p1")), tracked("p2"))
    await finish(ledger, "p1", Stage.FAILED, hooks=[hook()], outputs=[output(0, Disposition.LOST)])
    await deliver(ledger, Delivered())
    await ledger.predictions.commit(ref("p2"), Stage.AWAITED, "", Commit(Stage.EXPIRED, Reason.DEADLINE))
    assert await compacted(ledger, clock) == 2
    for id_ in ("p1", "p2"):
        day = (await fields_of(ledger, id_)).get("day")
        assert await accept_one(ledger, callback(completed(id_))) == "advanced"
        record = await finish(ledger, id_, hooks=[hook()], outputs=[output()])
        assert (record.outputs, record.said_error, record.reason) == ((), "", None)
        assert record.payload["outputs"] == [f"https://cdn.example/{id_}/0.png"]
        assert day in (None, record.day)
        assert (await timeline(ledger, id_)).count(Step.COMMITTED) == 2
    assert sorted(one["event"] for one in await deliveries(ledger)) == [
        "prediction.completed",
        "prediction.failed",
    ]


async def test_a_replay_from_the_fetch(ledger: Ledger, clock: Clock) -> None:
    bodies = await ended(ledger)
    before = await deliveries(ledger)
    await compacted(ledger, clock)
    assert await ledger.predictions.replay(ref()) == Stage.ACCEPTED
    assert not await is_compact(ledger)
    for prefix in (keys.PREDICTION, keys.TIMELINE, keys.EVENTS, keys.OUTBOX):
        assert await ledger.redis.ttl(prefix + str(ref())) == -1
    record = await finish(ledger, hooks=[hook()], outputs=[output()])
    assert (record.via, record.outputs) == (Via.REPLAY, (output(),))
    assert [one["id"] for one in await deliveries(ledger)] == [one["id"] for one in before]
    assert len(await deliver(ledger, Delivered())) == len(bodies)


async def test_a_replay_of_what_never_completed(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, tracked())
    await ledger.predictions.commit(ref(), Stage.AWAITED, "", Commit(Stage.EXPIRED, Reason.DEADLINE, "late"))
    await compacted(ledger, clock)
    assert await ledger.predictions.replay(ref()) == Stage.AWAITED
    assert not (await fields_of(ledger)).keys() & {"reason", "error", "finished_at", "lives"}
    assert len(await ledger.sweeping.due_polls(10, 2, 1.5, 60)) == 1


async def test_deliveries_go_out_again_with_the_same_bytes(ledger: Ledger, clock: Clock) -> None:
    bodies = await ended(ledger, "p1", "cf")
    before = await deliveries(ledger)
    await compacted(ledger, clock)
    ids = await ledger.reading.deliveries_of(ref())
    assert ids == sorted(one["id"] for one in before)
    assert await ledger.deliveries.send_again(ids) == 2
    assert sorted(await deliver(ledger, Delivered())) == sorted(bodies)
    assert [(one["id"], one["event_id"]) for one in await deliveries(ledger)] == [
        (one["id"], one["event_id"]) for one in before
    ]
    for prefix in (keys.PREDICTION, keys.TIMELINE, keys.EVENTS, keys.OUTBOX):
        assert RETENTION < await ledger.redis.ttl(prefix + str(ref())) <= RETENTION + 86_400
    assert await compacted(ledger, clock) == 1, "an hour later it is compact again"


async def test_a_job_that_comes_late_finds_nothing_to_send(ledger: Ledger, clock: Clock) -> None:
    await ended(ledger)
    await compacted(ledger, clock)
    (one,) = await deliveries(ledger)
    assert await ledger.deliveries.take(one["id"], 20) is None
    assert await ledger.predictions.lease(ref(), 12, "w1") is None
    assert await deliveries(ledger) == [one]


async def test_a_person_decides(ledger: Ledger, clock: Clock) -> None:
    await ended(ledger, "p1", "f")
    await compacted(ledger, clock)
    items, _ = await ledger.reading.held(Query(), 10, None)
    assert [item["id"] for item in items] == ["p1"]
    assert await ledger.reviews.decide(ref(), 0, Decision.APPROVE, "ada", "") == 1
    record = await lease(ledger)
    assert record.was is not None
    assert record.was.stage is Stage.DONE
    assert record.reviews[0].by == "ada"
    assert Step.REVIEWED in await timeline(ledger)


async def test_a_decision_that_cannot_be_is_refused_as_ever(ledger: Ledger, clock: Clock) -> None:
    await ended(ledger)
    await compacted(ledger, clock)
    with pytest.raises(Conflict, match="only a held output"):
        await ledger.reviews.decide(ref(), 0, Decision.APPROVE, "ada", "")


async def test_one_that_cannot_be_read_is_shown_and_refuses_to_go_to_work(
    ledger: Ledger, clock: Clock
) -> None:
    await ended(ledger)
    await compacted(ledger, clock)
    await ledger.redis.hset(keys.PREDICTION + str(ref()), "z0", "nonsense")
    found = await shown(ledger)
    assert found is not None
    assert found["stage"] == Stage.DONE
    await ledger.reading.page(Query(), 10, None)
    await ledger.reading.deliveries(10, None)
    with pytest.raises(Conflict, match="cannot be read"):
        await ledger.predictions.replay(ref())
    assert await accept_one(ledger, callback(completed(nsfw="f"))) == "advanced"
    assert await ledger.predictions.lease(ref(), 12, "w1") is None
    assert await stage_of(ledger) == Stage.DEAD


async def test_one_bad_entry_holds_up_no_other(ledger: Ledger, clock: Clock) -> None:
    for id_ in ("p1", "p2", "p3"):
        await ended(ledger, id_)
    await ledger.redis.delete(keys.TIMELINE + str(ref("p1")))
    await ledger.redis.set(keys.TIMELINE + str(ref("p1")), "no list")
    await ledger.redis.hset(keys.PREDICTION + str(ref("p2")), "error", "a \x1f in it")
    assert await compacted(ledger, clock) == 1
    assert [await is_compact(ledger, id_) for id_ in ("p1", "p2", "p3")] == [False, False, True]
    assert await ledger.redis.zrange(keys.SETTLED, 0, -1) == [str(ref("p1"))]


async def test_of_large_ones_few_are_taken_at_once(ledger: Ledger, clock: Clock) -> None:
    large = {"id": "", "outputs": ["x" * 600_000]}
    for n in range(4):
        await accept(ledger, callback(completed(f"p{n}", payload=large)))
        await finish(ledger, f"p{n}", outputs=[output()])
    clock.advance(AFTER)
    looked = [(await ledger.compacting.compact(AFTER, 100))[0] for _ in range(3)]
    assert looked == [2, 2, 0]


async def test_nothing_rings_for_it(ledger: Ledger, clock: Clock) -> None:
    await ended(ledger)
    before = await jobs(ledger)
    await compacted(ledger, clock)
    clock.advance(100)
    swept = await ledger.sweeping.sweep(100, reclaim=True)
    assert (swept.rung, swept.crashed, swept.redelivered) == (0, 0, 0)
    assert await jobs(ledger) == before
