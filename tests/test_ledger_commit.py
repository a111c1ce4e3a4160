from __future__ import annotations

from itertools import product

import pytest

from service import events, keys
from service.ledger import Commit, Ledger, Note
from service.prediction import LEGAL_MOVES, TERMINAL, Disposition, Reason, Stage, Step
from tests.builders import (
    LEASE,
    NOON,
    RETENTION,
    Clock,
    accept,
    accept_one,
    callback,
    completed,
    deliveries,
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

pytestmark = pytest.mark.anyio

TERMINALS = sorted(TERMINAL)


@pytest.mark.parametrize("to", TERMINALS)
async def test_an_end_is_written_with_all_that_belongs_to_it(ledger: Ledger, clock: Clock, to: Stage) -> None:
    await accept(ledger, callback(completed()))
    record = await lease(ledger)
    clock.advance(3)
    notes = [Note(Step.FETCHED, "0 1000 bytes"), Note(Step.STORED, "file:///x")]
    commit = Commit(to, Reason.OUTPUTS_BAD, "it was bad", [output()], 2, notes=notes)
    assert await ledger.predictions.commit(ref(), Stage.WORKING, record.token, commit)
    ended = await ledger.reading.record(ref())
    assert ended is not None
    assert (ended.stage, ended.reason, ended.error) == (to, "outputs_bad", "it was bad")
    assert (ended.outputs, ended.failures, ended.finished_at) == ((output(),), 2, clock.now)
    assert (await timeline(ledger))[-3:] == [Step.FETCHED, Step.STORED, Step.COMMITTED]
    assert await ledger.redis.zcard(keys.DUE_WORK) == 0


async def test_an_old_token_commits_nothing_at_all(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    old = await lease(ledger)
    clock.advance(LEASE)
    await ledger.sweeping.sweep(10, reclaim=True)
    await lease(ledger, worker="w2")
    before, lines = await fields_of(ledger), await timeline(ledger)
    told = events.of_prediction(ref(), 1, old.public() | {"stage": "done"}, [hook()], NOON)
    late = Commit(Stage.DONE, outputs=[output()], notes=[Note(Step.STORED, "late")], events=told)
    assert not await ledger.predictions.commit(ref(), Stage.WORKING, old.token, late)
    assert (await fields_of(ledger), await timeline(ledger)) == (before, lines)
    assert await deliveries(ledger) == []
    assert await ledger.redis.zcard(keys.DELIVERIES) == 0


async def test_the_right_token_in_another_stage_commits_nothing(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    record = await finish(ledger)
    assert not await ledger.predictions.commit(ref(), Stage.WORKING, record.token, Commit(Stage.DEAD))
    assert await stage_of(ledger) == Stage.DONE


@pytest.mark.parametrize(
    ("left", "to"), [(left, to) for left, to in product(Stage, Stage) if to not in LEGAL_MOVES[left]]
)
async def test_an_illegal_move_is_a_bug_and_raises(ledger: Ledger, left: Stage, to: Stage) -> None:
    with pytest.raises(ValueError, match="may not move"):
        await ledger.predictions.commit(ref(), left, "", Commit(to))


async def test_a_retry_waits_its_time_and_is_no_crash(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    record = await lease(ledger)
    again = Commit(Stage.ACCEPTED, outputs=[output()], failures=1, due_in=10)
    assert await ledger.predictions.commit(ref(), Stage.WORKING, record.token, again)
    clock.advance(9.9)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).rung == 0
    clock.advance(0.1)
    swept = await ledger.sweeping.sweep(10, reclaim=True)
    assert (swept.rung, swept.crashed) == (1, 0)
    second = await lease(ledger)
    assert (second.failures, second.outputs, second.attempts) == (1, (output(),), 2)


async def test_handing_back_rings_at_once_and_is_no_crash(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    record = await lease(ledger)
    assert await ledger.predictions.commit(ref(), Stage.WORKING, record.token, Commit(Stage.ACCEPTED))
    assert (await jobs(ledger))[-1] == "p-main-p1-2"
    assert "crashes" not in await fields_of(ledger)
    assert (await lease(ledger)).alone is False


async def test_a_deadline_ends_what_is_awaited_and_loses_to_a_completion(ledger: Ledger) -> None:
    await accept(ledger, tracked("p1"), tracked("p2"), callback(completed("p2")))
    end = Commit(Stage.EXPIRED, Reason.DEADLINE)
    assert await ledger.predictions.commit(ref("p1"), Stage.AWAITED, "", end)
    assert not await ledger.predictions.commit(ref("p2"), Stage.AWAITED, "", end)
    assert (await stage_of(ledger, "p1"), await stage_of(ledger, "p2")) == (Stage.EXPIRED, Stage.ACCEPTED)


async def test_one_delivery_is_made_per_event_and_hook(ledger: Ledger) -> None:
    await accept(ledger, callback(completed(nsfw="cf")))
    hooks = [hook("all"), hook("ends", events=["prediction.*"]), hook("other", models=["nobody/*"])]
    held = output(1, Disposition.HELD)
    await finish(ledger, hooks=hooks, outputs=[output(0), held])
    made = {(one["event"], one["hook"]) for one in await deliveries(ledger)}
    assert made == {
        ("prediction.completed", "all"),
        ("prediction.completed", "ends"),
        ("output.held", "all"),
    }
    assert all(one["state"] == "pending" for one in await deliveries(ledger))
    assert len([job for job in await jobs(ledger) if job.startswith("d-")]) == 3


async def test_committing_the_same_event_twice_tells_it_once(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger, hooks=[hook()], outputs=[output()])
    await accept(ledger, callback(completed(nsfw="f")))
    await finish(ledger, hooks=[hook()], outputs=[output(0, Disposition.HELD)])
    told = [one["event"] for one in await deliveries(ledger)]
    assert sorted(told) == ["output.held", "prediction.completed"]
    assert (await ledger.reading.tally())["events"] == 2


async def test_what_ended_and_all_that_is_told_of_it_has_a_time_to_live(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger, hooks=[hook()])
    for prefix in (keys.PREDICTION, keys.TIMELINE, keys.EVENTS, keys.OUTBOX):
        assert RETENTION < await ledger.redis.ttl(prefix + str(ref())) <= RETENTION + 86_400


async def test_a_replay_from_the_fetch_works_and_tells_again(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger, hooks=[hook()], outputs=[output()])
    (first,) = await deliveries(ledger)
    assert await ledger.predictions.replay(ref()) == Stage.ACCEPTED
    assert await ledger.redis.ttl(keys.TIMELINE + str(ref())) == -1
    record = await finish(ledger, hooks=[hook(), hook("new")], outputs=[output()])
    assert record.via == "replay"
    told = {one["hook"]: one for one in await deliveries(ledger)}
    assert told["crm"]["id"] == first["id"]
    assert {one["event_id"] for one in told.values()} == {first["event_id"]}
    assert Step.REPLAYED in await timeline(ledger)


async def test_a_replay_of_what_never_completed_asks_the_provider_again(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, tracked())
    await ledger.predictions.commit(ref(), Stage.AWAITED, "", Commit(Stage.EXPIRED, Reason.DEADLINE, "late"))
    clock.advance(1000)
    assert await ledger.predictions.replay(ref()) == Stage.AWAITED
    (due,) = await ledger.sweeping.due_polls(10, 2, 1.5, 60)
    assert due.known_at == clock.now, "its deadline begins anew"
    assert not (await fields_of(ledger)).keys() & {"reason", "error", "finished_at"}


async def test_a_replay_leaves_alone_what_is_under_way(ledger: Ledger) -> None:
    assert await ledger.predictions.replay(ref()) is None
    await accept(ledger, callback(completed()))
    await lease(ledger)
    assert await ledger.predictions.replay(ref()) == Stage.WORKING


async def test_outputs_and_their_text_come_back_as_they_were(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    odd = output(error='a "quote", a \\ and \n, 🙂, \x00 and \u2028', width=None)
    await finish(ledger, outputs=[odd])
    record = await ledger.reading.record(ref())
    assert record is not None
    assert record.outputs == (odd,)


async def test_nothing_is_ended_twice(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger)
    assert await accept_one(ledger, callback(completed())) == "known"
    assert await jobs(ledger) == ["p-main-p1-1"]
    assert (await ledger.reading.tally())["stage_done"] == 1
