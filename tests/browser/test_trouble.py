"""Pages of what went wrong: in words, in the look of the others, and gone by itself when Redis is back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser import accessible
from tests.browser.visitor import NARROW, visiting
from tests.serving import own_redis, serving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

    from tests.browser.visitor import Visitor

pytestmark = pytest.mark.anyio

PAGE = "/runs"
AWAY = r"\b503\b"


async def both_themes(visitor: Visitor) -> list[str]:
    found = await accessible.violations(visitor.page)
    await visitor.page.emulate_media(color_scheme="dark")
    return found + await accessible.violations(visitor.page, accessible.COLOURS)


async def test_redis_away_is_said_and_the_page_goes_on_by_itself(browser: Browser, tmp_path: Path) -> None:
    with own_redis(tmp_path) as redis:
        async with serving(redis.url) as server, visiting(browser, server.url) as visitor:
            redis.kill()
            with visitor.expecting(AWAY):
                await visitor.open(PAGE)
                await visitor.page.get_by_role("heading", name="Redis does not answer").wait_for()
                said = await visitor.main()
                assert "catchlight doctor" in said
                assert re.search(r"It last answered this process", said), said
                assert await both_themes(visitor) == []
                redis.start()
                await visitor.page.get_by_role("heading", name="Redis does not answer").wait_for(
                    state="detached"
                )
            assert visitor.page.url == server.url + PAGE


async def test_a_page_that_is_looked_at_says_that_redis_went_away(browser: Browser, tmp_path: Path) -> None:
    with own_redis(tmp_path) as redis:
        async with serving(redis.url) as server, visiting(browser, server.url) as visitor:
            await visitor.open(PAGE)
            away = visitor.page.locator("#away")
            assert not await away.is_visible()
            redis.kill()
            with visitor.expecting(AWAY):
                await away.wait_for(state="visible")
                redis.start()
                await away.wait_for(state="hidden")


async def test_what_there_is_not_has_a_page_too(browser: Browser, redis_url: str) -> None:
    async with serving(redis_url) as server, visiting(browser, server.url, NARROW) as visitor:
        with visitor.expecting(r"\b404\b"):
            await visitor.open("/nowhere")
        assert "404" in await visitor.main()
        assert await both_themes(visitor) == []
        link = visitor.page.get_by_role("link", name="To the first page")
        assert await link.get_attribute("href") == "/"
