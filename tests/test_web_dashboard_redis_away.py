"""Redis is killed under the dashboard: it says what is wrong, since when and what to do, and comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from service import clock
from service.ledger import roles
from tests.pages import BROWSER, Page, get
from tests.serving import own_redis, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.serving import OwnRedis, Served

pytestmark = pytest.mark.anyio

PATHS = ("/", "/workers", "/setup", "/runs")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
async def server(own: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setattr(roles, "BEAT_EVERY", 0.05)
    async with serving(own.url) as served:
        yield served


def recovers(page: Page) -> bool:
    return any("data-recover" in tag for _, tag in page.tags)


async def test_every_page_says_what_is_wrong_since_when_and_what_to_do(own: OwnRedis, server: Served) -> None:
    assert not recovers(await get(server.client, "/"))
    before = clock.now()
    own.kill()
    await get(server.client, "/", 503)
    for path in PATHS:
        page = await get(server.client, path, 503)
        assert "Redis does not answer" in page.text
        assert "catchlight doctor" in page.text
        assert recovers(page)
        (at,) = {tag["datetime"] for name, tag in page.tags if name == "time"}
        assert abs((clock.parse_rfc3339(at) or 0) - before) < 5
        assert "127.0.0.1" not in page.text
    # What stands in memory alone is shown all the same.
    assert "CATCHLIGHT_REDIS_URL" in (await get(server.client, "/settings")).text


async def test_it_comes_back_by_itself_and_tells_the_pages_that_wait(own: OwnRedis, server: Served) -> None:
    own.kill()
    await get(server.client, "/", 503)

    async def told() -> str:
        async with server.client.stream("GET", "/live", headers=BROWSER) as stream:
            async for line in stream.aiter_lines():
                if line == "event: changed":
                    return line
        return "the stream ended"

    listening = asyncio.create_task(told())
    own.start()
    assert await asyncio.wait_for(listening, 15) == "event: changed"
    assert "Redis does not answer" not in (await get(server.client, "/")).text


async def test_an_action_that_failed_is_not_repeated_by_the_page(own: OwnRedis, server: Served) -> None:
    own.kill()
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await server.client.post(
        "/runs/new", content="kind=replay&query=stage%3Adead&from=fetch&rate=1", headers=BROWSER | form
    )
    page = Page(answer)
    assert page.status == 503
    assert "look again before you repeat it" in page.text
    assert not recovers(page)


async def test_a_process_that_redis_never_answered_says_so(tmp_path: Path) -> None:
    async with serving("redis://127.0.0.1:1/0") as server:
        assert "since that started" in (await get(server.client, "/", 503)).text
