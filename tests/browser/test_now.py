"""The first page and set-up, while things happen: both follow by themselves, and a button ends a trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import clock
from service.ledger import Ledger
from tests.browser.visitor import visiting
from tests.serving import callback, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.anyio

HOOKS = [{"name": "crm", "url": "https://crm.example/", "secret": "whsec_c2VjcmV0"}]
MARK, MARKED = "() => { window.sameDocument = true; }", "() => window.sameDocument === true"


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, 8e5)
    yield opened
    await opened.aclose()


async def is_green(page: Page, step: str) -> None:
    await page.locator(f"#step-{step}.good").wait_for()


async def test_set_up_turns_green_while_it_is_looked_at(
    browser: Browser, redis_url: str, ledger: Ledger
) -> None:
    async with (
        serving(redis_url, public_url="https://hooks.example") as server,
        visiting(browser, server.url) as visitor,
    ):
        await visitor.open("/setup")
        await visitor.page.evaluate(MARK)
        await is_green(visitor.page, "redis")
        assert await visitor.page.locator("#step-storage.warn").is_visible()
        await ledger.roles.beat("work", "w1")
        await is_green(visitor.page, "storage")
        await server.call_back(callback("p1"))
        await is_green(visitor.page, "callback")
        assert await visitor.page.evaluate(MARKED), "nobody had to load it again"
        assert "?webhook=https%3A%2F%2Fhooks.example%2Fwebhooks%2Fwavespeed" in await visitor.main()


async def test_a_trouble_is_seen_as_it_comes_and_ended_by_keyboard(
    browser: Browser, redis_url: str, ledger: Ledger
) -> None:
    async with serving(redis_url, hooks=HOOKS) as server, visiting(browser, server.url) as visitor:
        await visitor.open("/")
        await visitor.page.evaluate(MARK)
        await ledger.deliveries.disable("crm", "moving", clock.now())
        await server.call_back(callback("p1"))
        button = visitor.page.get_by_role("button", name="Enable crm")
        await button.wait_for()
        assert await visitor.page.evaluate(MARKED)
        await button.press("Enter")
        await visitor.page.wait_for_url("**/hooks/crm")
        assert "disabled" not in await ledger.deliveries.hook_state("crm")
