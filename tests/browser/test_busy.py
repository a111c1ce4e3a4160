"""A list that is looked at while 200 things a second happen: it follows, and the page stays quick."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from service.intake import Intake
from service.ledger import Ledger
from tests.browser.visitor import visiting
from tests.builders import RETENTION, callback, completed
from tests.serving import serving

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.anyio

PER_SECOND, SECONDS, BEATS = 200, 4, 10
FREEZES = 1_500
"""Milliseconds: a page that freezes does so for all of what happens, and a machine under load for less."""
_WATCH = """() => {
  window.longest = 0;
  window.swaps = 0;
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.longest = Math.max(window.longest, one.duration);
  }).observe({type: "longtask"});
  document.body.addEventListener("htmx:afterSwap", () => { window.swaps += 1; });
}"""


async def test_two_hundred_events_a_second_do_not_freeze_the_page(browser: Browser, redis_url: str) -> None:
    async with serving(redis_url) as server, visiting(browser, server.url) as visitor:
        await visitor.open("/predictions")
        await visitor.page.evaluate(_WATCH)
        await _happening(redis_url)
        last = f"p{PER_SECOND * SECONDS - 1}"
        await visitor.page.get_by_text(last, exact=True).first.wait_for()
        longest, swaps = await visitor.page.evaluate("() => [window.longest, window.swaps]")
    assert longest < FREEZES, f"a task of {longest} ms"
    assert 1 <= swaps <= 3 * SECONDS + 10, f"{swaps} swaps: once a second would do"


async def _happening(redis_url: str) -> None:
    ledger = Ledger(redis_url, RETENTION)
    door = Intake(ledger)
    clock = asyncio.get_running_loop()
    began, each = clock.time(), PER_SECOND // BEATS
    try:
        for beat in range(SECONDS * BEATS):
            some = [completed(f"p{beat * each + n}") for n in range(each)]
            await door.accept_all([callback(report) for report in some])
            await asyncio.sleep(max(began + (beat + 1) / BEATS - clock.time(), 0))
    finally:
        await ledger.aclose()
