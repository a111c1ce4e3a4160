from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import keys
from service.errors import LedgerDown
from service.ledger import Commit, Ledger, Outcome
from service.prediction import Disposition, Reason, Stage, Step, Via
from tests.builders import (
    RETENTION,
    Clock,
    accept,
    accept_one,
    callback,
    completed,
    failed,
    fields_of,
    finish,
    jobs,
    lease,
    output,
    pending,
    polled,
    ref,
    stage_of,
    stale,
    timeline,
    tracked,
)

if TYPE_CHECKING:
    from service.ledger import Arrival
    from service.prediction import Report

pytestmark = pytest.mark.anyio


async def test_a_completion_is_recorded_due_and_queued_in_one_step(ledger: Ledger, clock: Clock) -> None:
    assert await accept_one(ledger, callback(completed())) == Outcome.NEW
    record = await ledger.reading.record(ref())
    assert record is not None
    assert (record.stage, record.via, record.received_at) == (Stage.ACCEPTED, Via.CALLBACK, clock.now)
    assert await ledger.redis.zscore(keys.DUE_WORK, str(ref())) > clock.now  # type: ignore[operator]  # it is there
    assert await jobs(ledger) == ["p-main-p1-1"]
    assert await timeline(ledger) == [Step.CALLED_BACK, Step.ACCEPTED]


async def test_a_completion_names_our_queue_to_rq(ledger: Ledger) -> None:
    await accept_one(ledger, callback(completed()))
    assert await ledger.redis.smembers("rq:queues") == {"rq:queue:catchlight"}


async def test_a_pending_report_is_awaited_and_makes_no_job(ledger: Ledger, clock: Clock) -> None:
    assert await accept_one(ledger, callback(pending(status="created"))) == Outcome.NEW
    record = await ledger.reading.record(ref())
    assert record is not None
    assert (record.stage, record.status, record.via) == (Stage.AWAITED, "created", None)
    assert await ledger.redis.zscore(keys.DUE_POLL, str(ref())) == clock.now
    assert not await jobs(ledger)


async def test_a_completion_advances_what_was_awaited(ledger: Ledger) -> None:
    await accept(ledger, tracked(metadata={"order": 7}))
    assert await accept_one(ledger, polled(completed())) == Outcome.ADVANCED
    record = await ledger.reading.record(ref())
    assert record is not None
    assert (record.stage, record.via, record.metadata) == (Stage.ACCEPTED, Via.POLL, {"order": 7})
    assert await ledger.redis.zscore(keys.DUE_POLL, str(ref())) is None


async def test_the_same_again_is_known_and_rings_nothing(ledger: Ledger) -> None:
    outcomes = await accept(ledger, callback(completed()), polled(completed()), callback(completed()))
    assert outcomes == [Outcome.NEW, Outcome.KNOWN, Outcome.KNOWN]
    assert len(await jobs(ledger)) == 1


async def test_two_sources_may_use_one_id(ledger: Ledger) -> None:
    both = callback(completed(), "left"), callback(completed(), "right")
    assert await accept(ledger, *both) == [Outcome.NEW, Outcome.NEW]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (failed(), failed(status="cancelled", reason=Reason.CANCELLED)),
        (failed(), completed(nsfw="")),
        (completed(), failed()),
        (completed(nsfw=""), failed()),
        (completed(), completed(outputs=("https://cdn.example/other.png",))),
        (completed(nsfw=""), completed()),
    ],
    ids=["cancelled", "empty", "failed", "empty-failed", "other-outputs", "empty-full"],
)
async def test_the_first_terminal_status_wins_and_the_contradiction_is_noted(
    ledger: Ledger, first: Report, second: Report
) -> None:
    await accept(ledger, callback(first))
    before = await fields_of(ledger)
    assert await accept_one(ledger, callback(second)) == Outcome.KNOWN
    assert await fields_of(ledger) == before
    assert Step.CONTRADICTED in await timeline(ledger)
    assert len(await jobs(ledger)) == 1


async def test_outputs_after_a_failure_that_is_queued_are_paid_work(ledger: Ledger) -> None:
    assert await accept(ledger, callback(failed()), callback(completed())) == [Outcome.NEW, Outcome.ADVANCED]
    record = await lease(ledger)
    assert (record.verdict, record.generation, record.said_reason) == ("completed", 2, None)


async def test_outputs_after_a_failure_that_is_worked_on_void_its_lease(ledger: Ledger) -> None:
    await accept(ledger, callback(failed()))
    old = await lease(ledger)
    assert await accept_one(ledger, callback(completed())) == Outcome.ADVANCED
    assert await stage_of(ledger) == Stage.ACCEPTED
    assert await ledger.predictions.renew([(ref(), old.token)], 12) == {ref()}


async def test_outputs_after_a_failure_that_is_committed_bring_it_back(ledger: Ledger) -> None:
    await accept(ledger, callback(failed()))
    await finish(ledger, to=Stage.FAILED)
    assert await accept_one(ledger, callback(completed())) == Outcome.ADVANCED
    held = await fields_of(ledger)
    assert held["stage"] == Stage.ACCEPTED
    assert not held.keys() & {"reason", "finished_at", "error", "outputs"}
    assert await ledger.redis.ttl(keys.PREDICTION + str(ref())) == -1
    assert await ledger.redis.zcard(keys.EXPIRY) == 0


async def test_a_completion_after_the_deadline_is_still_worked_on(ledger: Ledger) -> None:
    await accept(ledger, tracked())
    await ledger.predictions.commit(ref(), Stage.AWAITED, "", Commit(Stage.EXPIRED, Reason.DEADLINE))
    assert await accept_one(ledger, callback(completed())) == Outcome.ADVANCED
    assert await stage_of(ledger) == Stage.ACCEPTED


@pytest.mark.parametrize("arrival", [callback(pending()), polled(pending(), 60), stale()])
@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.WORKING, Stage.DONE])
async def test_neither_a_pending_nor_a_stale_word_changes_what_has_a_completion(
    ledger: Ledger, arrival: Arrival, stage: Stage
) -> None:
    await accept(ledger, callback(completed()))
    if stage is Stage.WORKING:
        await lease(ledger)
    if stage is Stage.DONE:
        await finish(ledger)
    before, rung = await fields_of(ledger), await jobs(ledger)
    assert await accept_one(ledger, arrival) == (Outcome.STALE if arrival.stale else Outcome.KNOWN)
    assert (await fields_of(ledger), await jobs(ledger)) == (before, rung)
    assert await ledger.redis.zcard(keys.DUE_POLL) == 0


async def test_a_stale_word_of_an_unknown_id_is_polled_at_once(ledger: Ledger) -> None:
    assert await accept_one(ledger, stale()) == Outcome.STALE
    assert [one.ref for one in await ledger.sweeping.due_polls(10, 2, 1.5, 60)] == [ref()]
    assert await stage_of(ledger) == Stage.AWAITED


async def test_a_stale_word_brings_a_poll_forward_and_a_later_one_never_back(
    ledger: Ledger, clock: Clock
) -> None:
    await accept(ledger, tracked(due_in=60), stale(), tracked(due_in=300))
    assert await ledger.redis.zscore(keys.DUE_POLL, str(ref())) == clock.now


@pytest.mark.parametrize("via", [Via.TRACK, Via.SUBMIT])
async def test_who_comes_after_the_callback_keeps_the_stage_and_gives_metadata(
    ledger: Ledger, via: Via
) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger)
    late = dataclasses.replace(tracked(metadata={"order": 7}), via=via)
    assert await accept_one(ledger, late) == Outcome.KNOWN
    record = await ledger.reading.record(ref())
    assert record is not None
    assert (record.stage, record.metadata, record.via) == (Stage.DONE, {"order": 7}, Via.CALLBACK)
    assert await ledger.redis.ttl(keys.PREDICTION + str(ref())) > RETENTION


@pytest.mark.parametrize(
    ("stage", "outcome"),
    [
        (Stage.ACCEPTED, "known"),
        (Stage.WORKING, "advanced"),
        (Stage.DONE, "advanced"),
        (Stage.DEAD, "advanced"),
    ],
)
async def test_a_stricter_duplicate_has_the_file_judged_again(
    ledger: Ledger, stage: Stage, outcome: str
) -> None:
    await accept(ledger, callback(completed(nsfw="cu")))
    old = None
    if stage is Stage.WORKING:
        old = await lease(ledger)
    elif stage is not Stage.ACCEPTED:
        old = await finish(ledger, to=stage, outputs=[output(0)])
    assert await accept_one(ledger, callback(completed(nsfw="fc"))) == outcome
    record = await lease(ledger)
    assert record.nsfw == ("flagged", "unknown")
    assert record.generation == 1, "the same completion: its events keep their ids"
    assert record.crashes_alone == 0
    assert old is None or record.token != old.token


async def test_a_stricter_duplicate_leaves_the_dead_alone_when_nothing_was_stored(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger, to=Stage.DEAD, outputs=[output(0, Disposition.LOST)])
    assert await accept_one(ledger, callback(completed(nsfw="f"))) == Outcome.KNOWN
    assert await stage_of(ledger) == Stage.DEAD


@settings(max_examples=40, deadline=None)
@given(said=st.lists(st.text("cuf", min_size=0, max_size=3), min_size=1, max_size=5))
def test_whatever_the_order_of_duplicates_the_strictest_word_stands(
    redis_server: str, said: list[str]
) -> None:
    async def story() -> str:
        ledger = Ledger(redis_server, RETENTION, virtual_now=Clock())
        await ledger.redis.flushall()
        first = completed(nsfw="ccc")
        await accept(ledger, callback(first))
        strictest = 0
        for nsfw in said:
            await accept(ledger, callback(completed(nsfw=nsfw, outputs=first.outputs)))
            held = await fields_of(ledger)
            strictness = sum("cuf".index(letter) for letter in held["nsfw"])
            assert strictness >= strictest, "never laxer"
            strictest = strictness
        await ledger.aclose()
        return held["nsfw"]

    expected = "".join(max((word[i : i + 1] or "c" for word in said), key="cuf".index) for i in range(3))
    assert asyncio.run(story()) == expected


async def test_the_day_is_fixed_by_the_first_completion(ledger: Ledger) -> None:
    await accept(ledger, callback(failed()), callback(completed(created_at=0.0)))
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert (await fields_of(ledger))["day"] == today


@pytest.mark.parametrize("created_at", [253402351199.0, -62135647200.0, float("inf")])
async def test_a_date_outside_the_calendar_is_no_date(ledger: Ledger, created_at: float) -> None:
    assert await accept_one(ledger, callback(completed(created_at=created_at))) == Outcome.NEW
    found = await ledger.reading.prediction(ref())
    assert found is not None
    assert found["created_at"] is None


async def test_half_a_surrogate_pair_in_a_strangers_text_can_be_written(ledger: Ledger) -> None:
    said = completed(model="a\ud800b", payload={"prompt": "\udfff"})
    assert await accept_one(ledger, callback(said)) == Outcome.NEW


async def test_a_long_word_is_cut_between_characters(ledger: Ledger) -> None:
    for padding in range(4):
        await accept(ledger, callback(pending(status="x" * padding + "é€🙂" * 300)))
    found = await ledger.reading.prediction(ref())
    assert found is not None
    assert all(len(line["detail"].encode()) <= 503 for line in found["timeline"])


async def test_a_corrupt_record_refuses_its_own_arrival_and_no_other_of_the_batch(ledger: Ledger) -> None:
    await ledger.redis.set(keys.PREDICTION + str(ref("bad")), "not a hash")
    batch = [callback(completed(id_)).encoded(0) for id_ in ("good", "bad", "fine")]
    good, bad, fine = await ledger.predictions.write(batch)
    assert (good, fine) == (Outcome.NEW, Outcome.NEW)
    assert isinstance(bad, LedgerDown)


async def test_what_aged_away_untrimmed_can_come_again(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger)
    await ledger.redis.delete(keys.PREDICTION + str(ref()))
    clock.advance(RETENTION + 1)
    assert await accept_one(ledger, stale()) == Outcome.STALE
    assert await ledger.sweeping.trim(10) == 0
    assert await ledger.reading.counts() | {"awaited": 0} == dict.fromkeys(Stage, 0)
    assert await stage_of(ledger) == Stage.AWAITED


async def test_a_timeline_keeps_its_last_lines_however_many_duplicates_come(ledger: Ledger) -> None:
    await accept(ledger, *(callback(completed()) for _ in range(450)), callback(failed()))
    lines = await timeline(ledger)
    assert len(lines) == 400
    assert lines[-2:] == [Step.CONTRADICTED, Step.CALLED_BACK]
