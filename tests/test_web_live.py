"""The event stream: one word a second however much happens, none kept open by a drain, Redis away is told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from service.ledger import Ledger
from service.web.dashboard.live import Live
from tests.builders import RETENTION
from tests.serving import callback, own_redis, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.serving import Served

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def listening(server: Served) -> AsyncIterator[AsyncIterator[str]]:
    """The events' names, as they come."""

    async def names(answer: httpx.Response) -> AsyncIterator[str]:
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                yield line.removeprefix("event: ")

    async with server.client.stream("GET", "/live") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield names(answer)


async def following(events: AsyncIterator[str], wanted: str) -> None:
    async with asyncio.timeout(30):
        async for word in events:
            if word == wanted:
                return
    pytest.fail(f"the stream ended without {wanted}")


async def test_a_change_is_told_once_however_much_happens(redis_url: str) -> None:
    async with serving(redis_url) as server, listening(server) as events:
        await following(events, "changed")
        for n in range(50):
            await server.call_back(callback(f"p{n}"))
        await following(events, "changed")


async def test_a_server_that_ends_waits_for_no_listener(redis_url: str) -> None:
    async with asyncio.timeout(10), serving(redis_url) as server:
        # Served until the block ends, and read by nobody any more.
        answer = await server.client.send(server.client.build_request("GET", "/live"), stream=True)
        assert answer.status_code == 200


async def test_one_that_reads_nothing_is_told_little_and_ended_all_the_same(redis_url: str) -> None:
    ledger = Ledger(redis_url, RETENTION)
    live = Live(ledger)
    events = live._events()
    assert (await anext(events))["event"] == "changed"
    for _ in range(5):
        live._tell("changed")
    live.close()
    assert [word async for word in events] == []
    await live.aclose()
    await ledger.aclose()


async def test_redis_away_is_told_and_so_is_its_return(tmp_path: Path) -> None:
    with own_redis(tmp_path) as redis:
        async with serving(redis.url) as server, listening(server) as events:
            await following(events, "changed")
            redis.kill()
            await following(events, "away")
            redis.start()
            await following(events, "changed")
