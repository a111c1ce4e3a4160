"""Polling a provider in trouble: left alone when it asks for it, and what has a deadline meets it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from service.prediction import Stage
from tests.polls import polling

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.anyio

DAY = 86_400.0


BUSY = JSONResponse({"code": 429, "message": "slow down"}, 429, {"Retry-After": "1"})
TROUBLES = [
    BUSY,
    JSONResponse({"code": 503, "message": "down"}, 503),
    PlainTextResponse("<h1>502</h1>", 502),
    JSONResponse({"code": 401, "message": "who are you"}, 401),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=["429", "503", "502", "401"])
async def test_a_provider_in_trouble_is_left_alone(
    redis_url: str, tmp_path: Path, trouble: JSONResponse
) -> None:
    async with polling(redis_url, tmp_path) as polls:
        polls.provider.every = trouble
        await polls.know(*(f"p{n}" for n in range(40)))
        await polls.poller.poll()
        asked = len(polls.provider.asked)
        # Those in flight when it said so for the third time, and no more.
        assert 1 <= asked <= 18
        assert polls.poller.paused
        await polls.poller.poll()
        assert len(polls.provider.asked) == asked
        assert await polls.stage("p39") == Stage.AWAITED


async def test_polling_goes_on_when_the_provider_said_it_would_be_back(
    redis_url: str, tmp_path: Path
) -> None:
    async with polling(redis_url, tmp_path) as polls:
        polls.provider.every = BUSY
        polls.provider.add("p1")
        await polls.know("p1", "p2")
        began = time.monotonic()
        await polls.poller.poll()
        polls.provider.every = None
        await polls.make_due("p1")
        while await polls.stage("p1") == Stage.AWAITED:
            await polls.poller.poll()
            await asyncio.sleep(0.02)
        assert 0.95 < time.monotonic() - began < 5


async def test_now_and_then_a_failure_holds_up_nobody_else(redis_url: str, tmp_path: Path) -> None:
    async with polling(redis_url, tmp_path) as polls:
        ids = [f"p{n}" for n in range(12)]
        for id_ in ids:
            polls.provider.add(id_)
        polls.provider.answers["p3"] = JSONResponse({"code": 503, "message": "down"}, 503)
        await polls.know(*ids)
        await polls.poller.poll()
        assert not polls.poller.paused
        stages = {id_: await polls.stage(id_) for id_ in ids}
        assert stages == {id_: Stage.AWAITED if id_ == "p3" else Stage.ACCEPTED for id_ in ids}


async def test_a_deadline_needs_no_answer(redis_url: str, tmp_path: Path) -> None:
    """A key that was revoked must not keep predictions awaited for ever."""
    async with polling(redis_url, tmp_path, deadline="1h") as polls:
        polls.provider.every = JSONResponse({"code": 401, "message": "who are you"}, 401)
        await polls.know("old1", "old2", ago=3700)
        await polls.know("young")
        await polls.poller.poll()
        assert [await polls.stage(id_) for id_ in ("old1", "old2")] == [Stage.EXPIRED] * 2
        assert await polls.stage("young") == Stage.AWAITED


async def test_an_unreadable_answer_concerns_one_id_and_ends_nothing(redis_url: str, tmp_path: Path) -> None:
    async with polling(redis_url, tmp_path) as polls:
        polls.provider.answers["p1"] = JSONResponse({"code": 200, "data": {"id": "p1", "status": 7}})
        polls.provider.answers["p2"] = JSONResponse(
            {"code": 200, "data": {"id": "other", "status": "failed"}}
        )
        polls.provider.add("p3")
        await polls.know("p1", "p2", "p3", ago=2 * DAY)
        await polls.poller.poll()
        assert [await polls.stage(id_) for id_ in ("p1", "p2", "p3")] == [
            *(Stage.AWAITED, Stage.AWAITED, Stage.ACCEPTED),
        ]
        assert not polls.poller.paused
