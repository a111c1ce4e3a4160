"""Reconciling: what the provider lists and we never heard of comes in, once, tied to who asked for it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import JSONResponse

from service import keys, settings, wavespeed
from service.clock import now
from service.intake import Intake
from service.ledger import Arrival, Ledger
from service.ledger.intents import Intent
from service.prediction import Nsfw, Ref, Stage, Step, Via
from tests.builders import RETENTION
from tests.provider import Provider, providing
from workers.pace import Pace
from workers.reconcile import PAGE, Reconciler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@dataclass
class Books:
    provider: Provider
    ledger: Ledger
    intake: Intake
    reconciler: Reconciler

    async def prediction(self, id_: str) -> dict[str, Any]:
        found = await self.ledger.reading.prediction(Ref(wavespeed.SOURCE, id_))
        assert found is not None, f"{id_} was not adopted"
        return found


@asynccontextmanager
async def books(redis_url: str) -> AsyncIterator[Books]:
    loaded = settings.load({"CATCHLIGHT_REDIS_URL": redis_url})
    ledger = Ledger(redis_url, RETENTION)
    async with providing() as (provider, client):
        intake = Intake(ledger)
        yield Books(provider, ledger, intake, Reconciler(loaded, ledger, intake, client, Pace(1000)))
    await ledger.aclose()


async def test_what_ended_is_adopted_by_its_result_and_what_runs_is_awaited(redis_url: str) -> None:
    async with books(redis_url) as both:
        both.provider.add("done")
        both.provider.add("broken", "failed", error="no luck")
        both.provider.add("running", "processing")
        assert await both.reconciler.reconcile() == 3
        done, broken, running = [await both.prediction(id_) for id_ in ("done", "broken", "running")]
        assert (done["stage"], done["received_via"]) == (Stage.ACCEPTED, "reconcile")
        assert (broken["stage"], broken["received_via"]) == (Stage.ACCEPTED, "reconcile")
        assert (running["stage"], running["received_via"]) == (Stage.AWAITED, None)
        assert sorted(both.provider.paths()) == ["broken", "done", "list 1", "list 2", "list of the oldest 1"]


async def test_flags_are_those_of_the_result_for_a_list_has_none(redis_url: str) -> None:
    async with books(redis_url) as both:
        both.provider.add("p1", has_nsfw_contents=[False])
        await both.reconciler.reconcile()
        record = await both.ledger.reading.record(Ref(wavespeed.SOURCE, "p1"))
        assert record is not None
        assert record.nsfw == (Nsfw.CLEAN,)


async def test_a_completion_without_a_result_is_taken_as_listed_and_not_as_clean(redis_url: str) -> None:
    async with books(redis_url) as both:
        both.provider.add("p1")
        both.provider.answers["p1"] = JSONResponse({"code": 404, "message": "gone"}, 404)
        await both.reconciler.reconcile()
        record = await both.ledger.reading.record(Ref(wavespeed.SOURCE, "p1"))
        assert record is not None
        assert (record.stage, record.nsfw) == (Stage.ACCEPTED, (Nsfw.UNKNOWN,))


async def test_a_result_that_cannot_be_read_is_awaited_and_stops_nothing(redis_url: str) -> None:
    async with books(redis_url) as both:
        both.provider.add("odd")
        both.provider.add("done")
        both.provider.answers["odd"] = JSONResponse({"code": 200, "data": {"id": "odd", "status": 7}})
        assert await both.reconciler.reconcile() == 2
        assert (await both.prediction("odd"))["stage"] == Stage.AWAITED
        assert (await both.prediction("done"))["stage"] == Stage.ACCEPTED


async def test_a_result_that_fails_keeps_out_none_of_the_others_and_is_polled_for_at_once(
    redis_url: str,
) -> None:
    async with books(redis_url) as both:
        for id_ in ("first", "bad", "last"):
            both.provider.add(id_)
        both.provider.answers["bad"] = JSONResponse({"code": 503, "message": "down"}, 503)
        assert await both.reconciler.reconcile() == 3
        stages = [(await both.prediction(id_))["stage"] for id_ in ("first", "bad", "last")]
        assert stages == [Stage.ACCEPTED, Stage.AWAITED, Stage.ACCEPTED]
        due = await both.ledger.redis.zscore(keys.DUE_POLL, f"{wavespeed.SOURCE}:bad")
        assert due is not None
        assert due <= now() + 1


async def test_a_provider_that_lists_and_gives_no_results_is_asked_for_three_and_no_more(
    redis_url: str,
) -> None:
    async with books(redis_url) as both:
        for n in range(10):
            both.provider.add(f"p{n}")
            both.provider.answers[f"p{n}"] = JSONResponse({"code": 503, "message": "down"}, 503)
        assert await both.reconciler.reconcile() == 10
        assert len([path for path in both.provider.paths() if path.startswith("p")]) == 3
        assert (await both.prediction("p9"))["stage"] == Stage.AWAITED


async def test_nothing_is_adopted_twice_and_nothing_known_is_touched(redis_url: str) -> None:
    async with books(redis_url) as both:
        both.provider.add("known")
        both.provider.add("new")
        known = Ref(wavespeed.SOURCE, "known")
        await both.intake.accept(Arrival(known, Via.TRACK, Step.TRACKED, due_in=60))
        assert await both.reconciler.reconcile() == 1
        assert await both.reconciler.reconcile() == 0
        assert (await both.prediction("known"))["stage"] == Stage.AWAITED
        timeline = [line["step"] for line in (await both.prediction("new"))["timeline"]]
        assert timeline.count("reconciled") == 1


async def test_it_turns_pages_until_the_end(redis_url: str) -> None:
    async with books(redis_url) as both:
        for n in range(PAGE + 5):
            both.provider.add(f"p{n}", "processing")
        assert await both.reconciler.reconcile() == PAGE + 5
        assert both.provider.paths() == ["list of the oldest 1", "list 1", "list 2", "list 3"]


async def test_the_first_run_looks_at_the_week_and_the_next_at_what_is_new(redis_url: str) -> None:
    async with books(redis_url) as both:
        both.provider.add("fresh", "processing")
        both.provider.add("days old", "processing", created=now() - 5 * 86_400)
        both.provider.add("five_days", "processing", created=now() - 5 * 86_400)
        assert await both.reconciler.reconcile() == 2
        both.provider.add("late_and_old", "processing", created=now() - 86_400)
        both.provider.add("late", "processing", created=now() - 1800)
        assert await both.reconciler.reconcile() == 1
        assert (await both.prediction("late"))["stage"] == Stage.AWAITED


@pytest.mark.parametrize("lost", ["all of it", "its last second"])
async def test_after_redis_has_lost_something_it_is_the_whole_week_again(redis_url: str, lost: str) -> None:
    async with books(redis_url) as both:
        both.provider.add("days_old", "processing", created=now() - 5 * 86_400)
        assert await both.reconciler.reconcile() == 1
        mark = await both.ledger.sweeping.mark(wavespeed.SOURCE)
        assert await both.reconciler.reconcile() == 0
        await both.ledger.redis.flushall()
        if lost != "all of it":
            assert mark is not None
            await both.ledger.sweeping.leave_mark(wavespeed.SOURCE, mark)
        assert await both.reconciler.reconcile() == 1
        assert (await both.prediction("days_old"))["stage"] == Stage.AWAITED


async def test_a_run_that_failed_is_made_up_for_by_the_next(redis_url: str) -> None:
    async with books(redis_url) as both:
        both.provider.add("old", "processing", created=now() - 86_400)
        both.provider.every = JSONResponse({"code": 503, "message": "down"}, 503)
        assert await both.reconciler.reconcile() == 0
        both.provider.every = None
        assert await both.reconciler.reconcile() == 1


async def test_a_submission_of_unknown_outcome_is_tied_to_what_is_found(redis_url: str) -> None:
    async with books(redis_url) as both:
        intent = Intent("key-1", "digest", "acme/painter", now(), metadata={"order": 7})
        await both.ledger.intents.begin(intent)
        both.provider.add("other", "processing", model="acme/other")
        both.provider.add("found", "processing")
        await both.reconciler.reconcile()
        assert (await both.prediction("found"))["metadata"] == {"order": 7}
        assert (await both.prediction("other"))["metadata"] == {}
        again = await both.ledger.intents.begin(intent)
        assert again is not None
        assert again.id == "found"


async def test_of_two_that_fit_neither_is_tied(redis_url: str) -> None:
    async with books(redis_url) as both:
        for key in ("one", "two"):
            await both.ledger.intents.begin(
                Intent(key, "digest", "acme/painter", now(), metadata={"key": key})
            )
        both.provider.add("found", "processing")
        await both.reconciler.reconcile()
        assert (await both.prediction("found"))["metadata"] == {}


async def test_what_is_deleted_soonest_is_asked_for_first_and_counted_once(redis_url: str) -> None:
    async with books(redis_url) as both:
        both.provider.add("fresh")
        both.provider.add("endangered", created=now() - 6.5 * 86_400)
        drift = await both.reconciler.look(now() - 7 * 86_400)
        assert [path for path in both.provider.paths() if "list" not in path] == ["endangered", "fresh"]
        counts = {name: n for name, n in drift.counts.items() if n}
        assert counts == {"listed": 2, "missing": 2, "never_called_back": 2}
        jobs = await both.ledger.redis.lrange("rq:queue:catchlight", 0, -1)
        assert ["endangered" in job for job in jobs] == [True, False]
        assert await both.ledger.drifts.last() == [drift.public()]


async def test_the_drift_tells_what_is_known_late_and_was_never_called_back(redis_url: str) -> None:
    async with books(redis_url) as both:
        both.provider.add("known")
        both.provider.add("found")
        await both.intake.accept(Arrival(Ref(wavespeed.SOURCE, "known"), Via.TRACK, Step.TRACKED, due_in=60))
        await both.reconciler.look(now() - 3600)
        drift = await both.reconciler.look(now() - 3600)
        counts = {name: n for name, n in drift.counts.items() if n}
        assert counts == {"listed": 2, "seen": 1, "late": 1, "never_called_back": 1}
