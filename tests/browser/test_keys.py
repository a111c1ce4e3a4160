"""The keys of a page, and the completion of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.visitor import visiting
from tests.serving import serving

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.anyio


async def test_a_page_with_a_search_has_its_keys(browser: Browser, redis_url: str) -> None:
    async with serving(redis_url) as server, visiting(browser, server.url) as visitor:
        page = visitor.page
        for path in ("/predictions", "/deliveries", "/gallery", "/settings"):
            await visitor.open(path)
            await page.keyboard.press("/")
            assert await page.evaluate("() => document.activeElement.type") == "search", path
            await page.locator("#main").focus()
            await page.keyboard.press("?")
            await page.get_by_role("dialog").get_by_text("to the search").wait_for()
            await page.keyboard.press("Escape")
            await page.get_by_role("dialog").wait_for(state="hidden")


async def test_tab_takes_the_first_completion_and_then_goes_on(browser: Browser, redis_url: str) -> None:
    async with serving(redis_url) as server, visiting(browser, server.url) as visitor:
        page = visitor.page
        await visitor.open("/predictions")
        await page.keyboard.press("/")
        await page.keyboard.type("sta")
        await page.keyboard.press("Tab")
        field = page.get_by_role("combobox")
        assert await field.input_value() == "stage:"
        await page.keyboard.type("fai")
        await page.keyboard.press("Tab")
        assert await field.input_value() == "stage:failed "
        await page.keyboard.press("Tab")
        assert await page.evaluate("() => document.activeElement.textContent") == "Search"
