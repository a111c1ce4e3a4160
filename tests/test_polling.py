"""Polling: what is due is asked for, in growing waits, never faster than the rate, and not for ever."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from service import wavespeed
from service.clock import now, parse_rfc3339
from service.ledger import Arrival
from service.prediction import Reason, Ref, Stage, Step, Via
from tests.polls import polling
from workers.polling import LIST_ABOVE, older

if TYPE_CHECKING:
    from pathlib import Path

    from tests.polls import Polls


pytestmark = pytest.mark.anyio

DAY = 86_400.0


async def test_a_completion_that_nobody_called_back_about_is_found(redis_url: str, tmp_path: Path) -> None:
    async with polling(redis_url, tmp_path) as polls:
        polls.provider.add("p1")
        await polls.know("p1")
        await polls.poller.poll()
        found = await polls.prediction("p1")
        assert (found["stage"], found["received_via"]) == (Stage.ACCEPTED, "poll")


async def test_nothing_is_asked_before_it_is_due(redis_url: str, tmp_path: Path) -> None:
    async with polling(redis_url, tmp_path) as polls:
        await polls.know("p1", due_in=60)
        await polls.poller.poll()
        assert polls.provider.asked == []


@pytest.mark.parametrize("status", ["", "processing"], ids=["stale", "pending"])
async def test_a_callback_that_proves_no_end_is_followed_by_a_poll_at_once(
    redis_url: str, tmp_path: Path, status: str
) -> None:
    async with polling(redis_url, tmp_path) as polls:
        polls.provider.add("p1")
        said = wavespeed.report({"id": "p1", "status": status}) if status else None
        ref = Ref(wavespeed.SOURCE, "p1")
        await polls.intake.accept(Arrival(ref, Via.CALLBACK, Step.CALLED_BACK, said, stale=not status))
        await polls.poller.poll()
        assert await polls.stage("p1") == Stage.ACCEPTED


async def test_waits_grow_by_half_from_two_seconds_to_the_longest(redis_url: str, tmp_path: Path) -> None:
    async with polling(redis_url, tmp_path, poll_max="5s") as polls:
        polls.provider.add("p1", "processing")
        await polls.know("p1")
        waits = []
        for _ in range(5):
            await polls.poller.poll()
            waits.append(await polls.due_in("p1"))
            await polls.make_due("p1")
        assert waits == pytest.approx([2, 3, 4.5, 5, 5], abs=0.3)
        assert (await polls.prediction("p1"))["status"] == "processing"


@pytest.mark.parametrize("rate", [20.0, 3.0])
async def test_the_rate_is_never_exceeded_and_the_listing_counts(
    redis_url: str, tmp_path: Path, rate: float
) -> None:
    async with polling(redis_url, tmp_path, poll_rate=f"{rate:g}/s") as polls:
        ids = [f"p{n}" for n in range(int(rate) + 2)]
        for id_ in ids:
            polls.provider.add(id_)
        await polls.know(*ids)
        began = time.monotonic()
        await polls.poller.poll()
        assert 0.9 < time.monotonic() - began < 5
        times = polls.provider.times()
        assert len(times) == len(ids)
        # Requests go over a socket: on a busy machine what left a second apart may arrive much closer.
        assert all(sum(at <= t < at + 0.5 for t in times) <= rate for at in times)


async def test_a_rate_below_one_a_second_polls_all_the_same(redis_url: str, tmp_path: Path) -> None:
    async with polling(redis_url, tmp_path, poll_rate="0.9/s") as polls:
        polls.provider.add("p1")
        polls.provider.add("p2")
        await polls.know("p1", "p2")
        await polls.poller.poll()
        first, second = polls.provider.times()
        assert 1.0 < second - first < 3
        assert await polls.stage("p2") == Stage.ACCEPTED


async def test_many_due_together_are_found_by_lists_and_only_those_that_ended_are_asked_for(
    redis_url: str, tmp_path: Path
) -> None:
    async with polling(redis_url, tmp_path) as polls:
        ids = [f"p{n}" for n in range(LIST_ABOVE * 3)]
        for n, id_ in enumerate(ids):
            polls.provider.add(id_, "processing" if n % 10 else "completed")
        await polls.know(*ids)
        await polls.poller.poll()
        assert sorted(polls.provider.paths()) == sorted(["list 1", "list 2", *ids[::10]])
        assert [await polls.stage(id_) for id_ in ids[:2]] == [Stage.ACCEPTED, Stage.AWAITED]
        assert await polls.due_in(ids[1]) > 1


async def test_of_many_those_that_no_list_shows_and_those_past_the_deadline_are_asked_for_too(
    redis_url: str, tmp_path: Path
) -> None:
    async with polling(redis_url, tmp_path, deadline="1h") as polls:
        ids = [f"p{n}" for n in range(LIST_ABOVE + 1)]
        for id_ in ["old", *ids]:
            polls.provider.add(id_, "processing")
        await polls.know(*ids, "unlisted")
        await polls.know("old", ago=7200)
        await polls.poller.poll()
        assert {"old", "unlisted"} == {path for path in polls.provider.paths() if "list " not in path}
        assert (await polls.prediction("old"))["reason"] == Reason.DEADLINE


@pytest.mark.parametrize(
    ("deadline", "ago", "reason"),
    [
        ("6d", 1.1 * DAY, Reason.UNKNOWN_TO_PROVIDER),
        ("6d", 0.9 * DAY, None),
        ("1h", 3700, Reason.UNKNOWN_TO_PROVIDER),
        ("1h", 3500, None),
    ],
)
async def test_an_id_that_the_provider_does_not_know_expires_after_a_day_or_the_deadline(
    redis_url: str, tmp_path: Path, deadline: str, ago: float, reason: Reason | None
) -> None:
    async with polling(redis_url, tmp_path, deadline=deadline) as polls:
        await polls.know("p1", ago=ago)
        await polls.poller.poll()
        found = await polls.prediction("p1")
        assert (found["stage"], found["reason"]) == (Stage.EXPIRED if reason else Stage.AWAITED, reason)


async def test_what_is_pending_past_the_deadline_expires_with_one_event(
    redis_url: str, tmp_path: Path
) -> None:
    async with polling(redis_url, tmp_path, deadline="1h") as polls:
        polls.provider.add("p1", "processing")
        await polls.know("p1", ago=3700, metadata={"order": 7})
        await polls.poller.poll()
        await polls.poller.poll()
        found = await polls.prediction("p1")
        assert (found["stage"], found["reason"]) == (Stage.EXPIRED, Reason.DEADLINE)
        assert [one["event"] for one in found["deliveries"]] == ["prediction.expired"]
        body = json.loads(await _body(polls))
        assert (body["type"], body["data"]["reason"]) == ("prediction.expired", "deadline")
        assert body["data"]["metadata"] == {"order": 7}
        assert parse_rfc3339(body["data"]["finished_at"]) == pytest.approx(now(), abs=5)


async def _body(polls: Polls) -> str:
    found = await polls.prediction("p1")
    taken = await polls.ledger.deliveries.take(found["deliveries"][0]["id"], 5)
    assert taken is not None
    return taken.body


async def test_a_completion_past_the_deadline_is_still_taken(redis_url: str, tmp_path: Path) -> None:
    async with polling(redis_url, tmp_path, deadline="1h") as polls:
        polls.provider.add("p1")
        await polls.know("p1", ago=3700)
        await polls.poller.poll()
        assert await polls.stage("p1") == Stage.ACCEPTED


def test_a_page_is_older_when_its_last_line_is() -> None:
    made = [
        wavespeed.report({"id": "a", "status": "failed", "created_at": f"2026-01-0{n}T00:00:00Z"})
        for n in (3, 2)
    ]
    last = made[-1].created_at or 0
    assert older(made, last + 1)
    assert not older(made, last)
    assert not older([wavespeed.report({"id": "a", "status": "failed"})], last)
