"""A hook fails and recovers while it is looked at; what it missed is sent again by keyboard, exactly that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import keys
from service.hooks import Dead
from service.ledger import Ledger
from tests.browser.visitor import visiting
from tests.serving import serving
from tests.test_dashboard_hooks import HOOKS, attempt, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

pytestmark = pytest.mark.anyio

MARK, MARKED = "() => { window.sameDocument = true; }", "() => window.sameDocument === true"


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, 8e5)
    yield opened
    await opened.aclose()


async def test_a_hook_fails_and_recovers_before_ones_eyes(
    browser: Browser, redis_url: str, ledger: Ledger
) -> None:
    async with (
        serving(redis_url, hooks=list(HOOKS)) as server,
        visiting(browser, server.url) as visitor,
    ):
        await visitor.open("/hooks/crm")
        await visitor.page.evaluate(MARK)
        failed = await told(ledger, "p1")
        await attempt(ledger, failed, 502, "answered 502")
        await visitor.page.get_by_text("1 in a row, the last 502").wait_for()
        await attempt(ledger, await told(ledger, "p2"), 200)
        await visitor.page.get_by_text("takes events").wait_for()
        assert await visitor.page.evaluate(MARKED), "nobody had to load it again"


async def test_what_it_missed_is_sent_again_by_keyboard(
    browser: Browser, redis_url: str, ledger: Ledger
) -> None:
    missed = await told(ledger, "p1")
    taken = await ledger.deliveries.take(missed, 20)
    assert taken is not None
    given_up = Dead("answered 502, after 10 attempts", disable=False)
    await ledger.deliveries.attempted(taken, given_up, status=502, error="answered 502", now=0)
    await attempt(ledger, await told(ledger, "p2"), 200)
    async with (
        serving(redis_url, hooks=list(HOOKS)) as server,
        visiting(browser, server.url) as visitor,
    ):
        await visitor.open("/hooks/crm")
        await visitor.page.get_by_role("link", name="Send these again that failed: 502").press("Enter")
        await visitor.page.get_by_role("button", name="Look what that is").press("Enter")
        confirm = visitor.page.get_by_role("button", name="Do it: 1 delivery")
        await confirm.wait_for()
        await confirm.press("Enter")
        await visitor.page.get_by_text("asked for", exact=True).wait_for()
        (asked,) = await ledger.runs.asked(5)
        assert await ledger.redis.lrange(keys.RUN_MEMBERS + asked, 0, -1) == [missed]
