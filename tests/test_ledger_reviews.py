"""Decisions in the ledger: written with the way back to work, once, and only about what can be decided."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.errors import Conflict, InvalidInput, NotFound
from service.ledger import Commit, query
from service.ledger.query import Query
from service.prediction import Disposition, Nsfw, Reason, Stage, Step
from service.review import Decision
from tests.builders import (
    NOON,
    RETENTION,
    Clock,
    accept,
    accept_one,
    callback,
    completed,
    fields_of,
    finish,
    jobs,
    lease,
    output,
    ref,
    stage_of,
    timeline,
    tracked,
)

if TYPE_CHECKING:
    from service.ledger import Ledger, PredictionRecord

pytestmark = pytest.mark.anyio

APPROVE, REJECT, UNDO = Decision
HELD, RELEASED, REJECTED = Disposition.HELD, Disposition.RELEASED, Disposition.REJECTED


async def ended(ledger: Ledger, *outputs: Disposition, id_: str = "p1", nsfw: str = "") -> None:
    """By default every output is of unknown class."""
    await accept(ledger, callback(completed(id_, nsfw=nsfw or "u" * len(outputs))))
    await finish(ledger, id_, outputs=[output(i, one, nsfw="unknown") for i, one in enumerate(outputs)])


async def decide(ledger: Ledger, decision: Decision, index: int = 0, id_: str = "p1") -> int:
    return await ledger.reviews.decide(ref(id_), index, decision, "ada", "looks fine")


async def record_of(ledger: Ledger, id_: str = "p1") -> PredictionRecord:
    record = await ledger.reading.record(ref(id_))
    assert record is not None
    return record


async def waiting(ledger: Ledger, words: str = "", limit: int = 50) -> list[tuple[str, int]]:
    """All of the queue, page by page, as (id, index)."""
    seen: list[tuple[str, int]] = []
    cursor: str | None = None
    while True:
        items, cursor = await ledger.reading.held(query.parse(words, 0), limit, cursor)
        seen += [(item["id"], item["index"]) for item in items]
        if cursor is None:
            return seen


@pytest.mark.parametrize("decision", [APPROVE, REJECT])
async def test_a_decision_is_written_with_all_that_belongs_to_it(
    ledger: Ledger, clock: Clock, decision: Decision
) -> None:
    await ended(ledger, HELD)
    clock.advance(60)
    assert await decide(ledger, decision) == 1
    record = await record_of(ledger)
    review = record.reviews[0]
    assert (review.decision, review.by, review.reason, review.at) == (
        decision, "ada", "looks fine", clock.now
    )  # fmt: skip
    assert (review.number, review.nsfw, review.sha256) == (1, Nsfw.UNKNOWN, "0" * 64)
    assert (record.stage, (await jobs(ledger))[-1]) == (Stage.ACCEPTED, "p-main-p1-2")
    assert await ledger.redis.ttl(keys.PREDICTION + str(ref())) == -1
    assert await ledger.redis.zscore(keys.DUE_WORK, str(ref())) is not None
    shown = await ledger.reading.prediction(ref())
    assert shown is not None
    said = {"approve": "approved", "reject": "rejected"}[decision]
    assert shown["timeline"][-1]["step"] == Step.REVIEWED
    assert shown["timeline"][-1]["detail"] == f"0 {said} by ada: looks fine"
    assert shown["reviews"] == [
        {"index": 0, "decision": decision, "by": "ada", "at": "2023-11-14T22:14:20.000Z",
         "reason": "looks fine"}
    ]  # fmt: skip


async def test_each_output_counts_its_own_decisions(ledger: Ledger) -> None:
    await ended(ledger, HELD, HELD)
    assert await decide(ledger, APPROVE, 1) == 1
    await finish(ledger, outputs=[output(0, HELD), output(1, RELEASED, decision=1)])
    assert await decide(ledger, UNDO, 1) == 2
    await finish(ledger, outputs=[output(0, HELD), output(1, HELD, decision=2)])
    assert await decide(ledger, REJECT, 0) == 1
    reviews = (await record_of(ledger)).reviews
    assert {index: (one.number, one.decision) for index, one in reviews.items()} == {
        0: (1, REJECT),
        1: (2, UNDO),
    }


async def test_a_decision_remembers_the_flag_and_the_bytes_of_its_own_output(ledger: Ledger) -> None:
    await accept(ledger, callback(completed(nsfw="cfu")))
    kept = [output(i, HELD, sha256=str(i) * 64) for i in range(4)]
    await finish(ledger, outputs=kept)
    for index, nsfw in enumerate((Nsfw.CLEAN, Nsfw.FLAGGED, Nsfw.UNKNOWN, Nsfw.UNKNOWN)):
        await decide(ledger, REJECT, index)
        review = (await record_of(ledger)).reviews[index]
        assert (review.nsfw, review.sha256) == (nsfw, str(index) * 64)
        await finish(ledger, outputs=kept)


@pytest.mark.parametrize(
    ("disposition", "allowed"),
    [
        (HELD, {APPROVE, REJECT}),
        (RELEASED, {UNDO}),
        (REJECTED, {UNDO}),
        *((one, set()) for one in Disposition if one not in (HELD, RELEASED, REJECTED)),
    ],
)
async def test_only_what_is_held_is_decided_and_only_what_is_decided_undone(
    ledger: Ledger, disposition: Disposition, allowed: set[Decision]
) -> None:
    for decision in Decision:
        await ended(ledger, disposition, id_=decision)
        if decision in allowed:
            assert await decide(ledger, decision, id_=decision) == 1
        else:
            before = await fields_of(ledger, decision)
            with pytest.raises(Conflict, match=f"is {disposition}"):
                await decide(ledger, decision, id_=decision)
            assert await fields_of(ledger, decision) == before


async def test_a_decision_is_taken_back_before_a_worker_has_begun(ledger: Ledger) -> None:
    await ended(ledger, HELD, HELD)
    first = await record_of(ledger)
    for decision in (APPROVE, REJECT):
        number = await decide(ledger, decision)
        assert await waiting(ledger) == [("p1", 1)]
        assert await decide(ledger, UNDO) == number + 1
        assert await waiting(ledger) == [("p1", 0), ("p1", 1)]
        with pytest.raises(Conflict, match="is held"):
            await decide(ledger, UNDO)
    record = await record_of(ledger)
    assert record.was is not None
    assert (record.was.stage, record.was.finished_at) == (Stage.DONE, first.finished_at)
    shown = await ledger.reading.prediction(ref())
    assert shown is not None
    assert [line["detail"] for line in shown["timeline"]][-4:] == [
        "0 approved by ada: looks fine", "0 undone by ada: looks fine",
        "0 rejected by ada: looks fine", "0 undone by ada: looks fine",
    ]  # fmt: skip
    assert len(await jobs(ledger)) == 2, "what waits is rung once"


async def test_outputs_of_one_prediction_are_decided_in_one_go_and_the_last_word_holds(
    ledger: Ledger,
) -> None:
    await ended(ledger, HELD, HELD)
    await decide(ledger, APPROVE, 0)
    await decide(ledger, REJECT, 1)
    await decide(ledger, REJECT, 0)
    reviews = (await record_of(ledger)).reviews
    assert {index: (one.number, one.decision) for index, one in reviews.items()} == {
        0: (2, REJECT),
        1: (1, REJECT),
    }
    assert await waiting(ledger) == []


async def test_nobody_decides_about_what_is_on_its_way(ledger: Ledger) -> None:
    await ended(ledger, HELD, HELD)
    await decide(ledger, APPROVE, 0)
    await lease(ledger)
    for decision, index in ((UNDO, 0), (REJECT, 0), (REJECT, 1), (REJECT, 7)):
        with pytest.raises(Conflict, match="is working"):
            await decide(ledger, decision, index)
    assert list((await record_of(ledger)).reviews) == [0]


async def test_a_completion_that_is_on_its_way_is_no_review(ledger: Ledger) -> None:
    await accept(ledger, callback(completed("p1")))
    with pytest.raises(Conflict, match="is accepted"):
        await decide(ledger, REJECT)


async def test_an_unknown_prediction_or_index_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await decide(ledger, APPROVE, id_="nobody")
    await ended(ledger, HELD)
    with pytest.raises(NotFound, match="no output 1"):
        await decide(ledger, APPROVE, 1)
    await accept(ledger, callback(completed("p2")))
    await finish(ledger, "p2", Stage.DEAD)
    with pytest.raises(NotFound, match="no output 0"):
        await decide(ledger, APPROVE, 0, "p2")


async def test_asking_again_after_a_lost_answer_decides_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = uuid.uuid4()
    monkeypatch.setattr("service.ledger.reviews.uuid.uuid4", lambda: asked)
    await ended(ledger, HELD)
    assert await decide(ledger, APPROVE) == await decide(ledger, APPROVE) == 1
    assert (await timeline(ledger)).count(Step.REVIEWED) == 1
    await finish(ledger, outputs=[output(0, RELEASED, decision=1)])
    assert await decide(ledger, APPROVE) == 1, "also when a worker was faster than the answer"
    assert await stage_of(ledger) == Stage.DONE


async def test_a_review_ends_where_and_when_the_prediction_had_ended(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed(nsfw="u")))
    record = await lease(ledger)
    kept = [output(0, HELD)]
    end = Commit(Stage.DEAD, Reason.CRASHES_EXHAUSTED, "it crashed", kept)
    assert await ledger.predictions.commit(ref(), Stage.WORKING, record.token, end)
    clock.advance(3600)
    await decide(ledger, APPROVE)
    again = await lease(ledger)
    assert again.was is not None
    assert (again.was.stage, again.was.reason) == (Stage.DEAD, Reason.CRASHES_EXHAUSTED)
    assert (again.was.error, again.was.finished_at) == ("it crashed", NOON)
    assert await ledger.predictions.commit(ref(), Stage.WORKING, again.token, end)
    after = await record_of(ledger)
    assert (after.was, after.finished_at) == (None, NOON)
    assert await ledger.redis.ttl(keys.PREDICTION + str(ref())) > RETENTION
    assert await ledger.redis.zscore(keys.EXPIRY, str(ref())) == clock.now + RETENTION
    assert (await ledger.reading.tally())["stage_dead"] == 1, "it has not died a second time"


@pytest.mark.parametrize("how", ["replay", "stricter"])
async def test_whatever_else_opens_it_again_ends_it_anew(ledger: Ledger, clock: Clock, how: str) -> None:
    """Also when a version that knew nothing of reviews has left the earlier end behind."""
    await ended(ledger, HELD)
    await ledger.redis.hset(keys.PREDICTION + str(ref()), "was", "{}")
    clock.advance(60)
    if how == "replay":
        await ledger.predictions.replay(ref())
    else:
        await accept(ledger, callback(completed(nsfw="f")))
    assert (await lease(ledger)).was is None


async def test_the_way_back_is_kept_through_crashes_retries_and_stricter_duplicates(
    ledger: Ledger, clock: Clock
) -> None:
    await ended(ledger, HELD)
    await decide(ledger, APPROVE)
    await lease(ledger)
    clock.advance(60)
    assert (await ledger.sweeping.sweep(10, reclaim=True)).crashed == 1
    record = await lease(ledger)
    again = Commit(Stage.ACCEPTED, outputs=[output(0, HELD)], failures=1)
    assert await ledger.predictions.commit(ref(), Stage.WORKING, record.token, again)
    await lease(ledger)
    assert await accept_one(ledger, callback(completed(nsfw="f"))) == "advanced"
    record = await lease(ledger)
    assert record.was is not None
    assert record.was.stage == Stage.DONE
    assert record.reviews[0].nsfw is Nsfw.UNKNOWN, "what the person saw"


async def test_a_stricter_duplicate_wakes_a_dead_prediction_that_has_a_released_file(ledger: Ledger) -> None:
    for id_, disposition in (("p1", RELEASED), ("p2", REJECTED)):
        await accept(ledger, callback(completed(id_, nsfw="u")))
        await finish(ledger, id_, Stage.DEAD, outputs=[output(0, disposition)])
        await accept(ledger, callback(completed(id_, nsfw="f")))
    assert (await stage_of(ledger, "p1"), await stage_of(ledger, "p2")) == (Stage.ACCEPTED, Stage.DEAD)


async def test_what_is_held_waits_newest_first_and_pages_join_within_a_prediction(ledger: Ledger) -> None:
    await ended(ledger, HELD, Disposition.STORED, HELD, HELD, id_="p0")
    await ended(ledger, Disposition.STORED, id_="p1")
    await ended(ledger, HELD, Disposition.SKIPPED, id_="p2")
    await accept(ledger, callback(completed("p3", nsfw="u")))
    everything = [("p2", 0), ("p0", 0), ("p0", 2), ("p0", 3)]
    for limit in (1, 2, 3, 4, 50):
        assert await waiting(ledger, limit=limit) == everything, limit


async def test_an_item_tells_what_a_person_needs_and_nothing_that_leads_to_the_file(ledger: Ledger) -> None:
    await accept(ledger, tracked(metadata={"order": 7}), callback(completed(nsfw="u")))
    held = output(0, HELD, nsfw="unknown", held_at="2023-11-14T22:13:20.000Z", error="type_not_allowed")
    await finish(ledger, outputs=[held])
    (item,), _ = await ledger.reading.held(Query(), 50, None)
    assert item == {
        "id": "p1", "source": "main", "model": "acme/painter", "index": 0, "nsfw": "unknown",
        "media_type": "image/png", "bytes": 1000, "width": 8, "height": 8, "error": "type_not_allowed",
        "held_at": "2023-11-14T22:13:20.000Z", "metadata": {"order": 7},
    }  # fmt: skip


async def test_the_flag_shown_is_the_strictest_that_came(ledger: Ledger) -> None:
    await accept(ledger, callback(completed(nsfw="u")))
    await finish(ledger, to=Stage.DEAD, outputs=[output(0, HELD, nsfw="unknown")])
    await accept(ledger, callback(completed(nsfw="f")))
    (item,), _ = await ledger.reading.held(Query(), 50, None)
    assert item["nsfw"] == "flagged"


async def test_the_queue_can_be_asked_by_flag_model_and_stage(ledger: Ledger) -> None:
    await ended(ledger, HELD, HELD, id_="p1", nsfw="uf")
    await ended(ledger, HELD, id_="p2")
    expected = {
        "nsfw:flagged": [("p1", 1)],
        "nsfw:unknown": [("p2", 0), ("p1", 0)],
        "id:p2": [("p2", 0)],
        "model:nobody/*": [],
        "stage:dead": [],
        "stage:done": [("p2", 0), ("p1", 0), ("p1", 1)],
    }
    for words, found in expected.items():
        assert await waiting(ledger, words, limit=1) == found, words


async def test_what_is_decided_leaves_the_queue_at_once_and_comes_back_when_it_is_undone(
    ledger: Ledger,
) -> None:
    await ended(ledger, HELD, HELD)
    await decide(ledger, APPROVE, 0)
    assert await waiting(ledger) == [("p1", 1)]
    await finish(ledger, outputs=[output(0, RELEASED, decision=1), output(1, HELD)])
    assert await waiting(ledger) == [("p1", 1)]
    await decide(ledger, REJECT, 1)
    assert await waiting(ledger) == []
    await finish(ledger, outputs=[output(0, RELEASED, decision=1), output(1, REJECTED, decision=1)])
    assert await ledger.redis.zcard(keys.REVIEW) == 0
    await decide(ledger, UNDO, 0)
    await finish(ledger, outputs=[output(0, HELD, decision=2), output(1, REJECTED, decision=1)])
    assert await waiting(ledger) == [("p1", 0)]


async def test_a_decision_that_no_worker_could_carry_out_waits_for_another(ledger: Ledger) -> None:
    await ended(ledger, HELD)
    await decide(ledger, APPROVE)
    await finish(ledger, outputs=[output(0, HELD)])
    assert await waiting(ledger) == [("p1", 0)]
    assert await decide(ledger, REJECT) == 2


async def test_the_queue_forgets_with_the_trim(ledger: Ledger, clock: Clock) -> None:
    await ended(ledger, HELD)
    clock.advance(RETENTION)
    assert await ledger.sweeping.trim(10) == 1
    assert await ledger.redis.exists(keys.REVIEW) == 0


async def test_what_aged_away_untrimmed_waits_no_longer(ledger: Ledger) -> None:
    await ended(ledger, HELD)
    await ledger.redis.delete(keys.PREDICTION + str(ref()))
    assert await waiting(ledger) == []
    await accept(ledger, callback(completed()))
    assert await ledger.redis.zcard(keys.REVIEW) == 0


async def test_a_long_queue_is_read_in_bounded_steps(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.ledger.reading._CHUNKS", 1)
    monkeypatch.setattr("service.ledger.reading.CHUNK", 3)
    for number in range(7):
        await ended(ledger, HELD, id_=f"p{number}")
    items, cursor = await ledger.reading.held(Query(id="p0"), 2, None)
    assert (items, cursor is None) == ([], False)
    assert await waiting(ledger, "id:p0", limit=2) == [("p0", 0)]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "²", "1 ", "1-", "1-x", "1-2-3", "9" * 400])
async def test_a_cursor_of_ones_own_making_is_refused(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await ledger.reading.held(Query(), 3, cursor)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("reviews", "[]"),
        ("reviews", '{"0": {"number": 1}}'),
        ("reviews", '{"zero": {}}'),
        ("reviews", '{"0": 7}'),
        ("was", '{"stage": "done"}'),
        ("was", '{"stage": "gone", "reason": "", "error": "", "finished_at": "1"}'),
        ("was", "7"),
    ],
)
async def test_what_cannot_be_read_is_shown_and_named(ledger: Ledger, field: str, text: str) -> None:
    await ended(ledger, HELD)
    await ledger.redis.hset(keys.PREDICTION + str(ref()), field, text)
    record = await record_of(ledger)
    assert record.corrupt.endswith(field)
    assert record.public()["stage"] == Stage.DONE
