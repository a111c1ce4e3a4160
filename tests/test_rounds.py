"""Rounds of several sources: each asked by its own client and pace, and none of them waits for another."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from starlette.responses import JSONResponse

from service import settings
from service.clock import now
from service.intake import Intake
from service.ledger import Arrival, Ledger
from service.prediction import Ref, Stage, Step, Via
from tests.builders import RETENTION
from tests.provider import Provider, providing
from tests.workplace import until
from workers.pace import Pace
from workers.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@dataclass
class Two:
    left: Provider
    right: Provider
    ledger: Ledger
    rounds: Rounds
    redis_url: str

    async def know(self, source: str, *ids: str, ago: float = 0.0) -> None:
        past = Ledger(self.redis_url, RETENTION, virtual_now=lambda: now() - ago)
        arrivals = [Arrival(Ref(source, id_), Via.TRACK, Step.TRACKED) for id_ in ids]
        await Intake(past).accept_all(arrivals)
        await past.aclose()

    async def stage(self, source: str, id_: str) -> Stage | str | None:
        record = await self.ledger.reading.record(Ref(source, id_))
        return None if record is None else record.stage


@asynccontextmanager
async def two(redis_url: str, *, left_rate: float = 1000.0) -> AsyncIterator[Two]:
    loaded = settings.load({"CATCHLIGHT_REDIS_URL": redis_url, "CATCHLIGHT_DEADLINE": "1h"})
    ledger = Ledger(redis_url, RETENTION)
    async with AsyncExitStack() as stack:
        left, left_client = await stack.enter_async_context(providing())
        right, right_client = await stack.enter_async_context(providing())
        paces = {"left": Pace(left_rate), "right": Pace(1000.0)}
        clients = {"left": left_client, "right": right_client}
        rounds = Rounds(loaded, ledger, Intake(ledger), clients, paces)
        yield Two(left, right, ledger, rounds, redis_url)
        await rounds.aclose()
    await ledger.aclose()


async def test_the_same_id_of_two_sources_is_asked_for_at_both(redis_url: str) -> None:
    async with two(redis_url) as both:
        both.left.add("p1")
        both.right.add("p1", "processing")
        await both.know("left", "p1")
        await both.know("right", "p1")
        await asyncio.gather(*await both.rounds.poll())
        stages = [await both.stage(source, "p1") for source in ("left", "right")]
        assert stages == [Stage.ACCEPTED, Stage.AWAITED]
        assert (both.left.paths(), both.right.paths()) == (["p1"], ["p1"])


async def test_a_slow_source_holds_up_no_other(redis_url: str) -> None:
    async with two(redis_url, left_rate=0.01) as both:
        for id_ in ("p1", "p2", "p3"):
            both.left.add(id_)
        await both.know("left", "p1", "p2", "p3")
        assert len(await both.rounds.poll()) == 1
        both.right.add("quick")
        await both.know("right", "quick")
        (begun,) = await both.rounds.poll()
        await begun
        assert await both.stage("right", "quick") == Stage.ACCEPTED
        await until(both.left.paths)
        assert len(both.left.paths()) == 1, "the next one's turn is a minute and a half away"


async def test_a_source_in_trouble_is_left_alone_and_the_other_is_asked(redis_url: str) -> None:
    async with two(redis_url) as both:
        both.left.every = JSONResponse({"code": 401, "message": "who are you"}, 401)
        both.right.add("p2")
        await both.know("left", "p1")
        await asyncio.gather(*await both.rounds.poll())
        assert not both.rounds.paused
        await both.know("right", "p2")
        await asyncio.gather(*await both.rounds.poll())
        assert await both.stage("right", "p2") == Stage.ACCEPTED


async def test_of_a_source_that_is_declared_no_more_only_the_deadline_is_kept(redis_url: str) -> None:
    async with two(redis_url) as both:
        await both.know("gone", "old", ago=3700)
        await both.know("gone", "young")
        assert await both.rounds.poll() == []
        assert await both.stage("gone", "old") == Stage.EXPIRED
        assert await both.stage("gone", "young") == Stage.AWAITED
        assert both.left.paths() + both.right.paths() == []
