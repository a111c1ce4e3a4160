"""A day at the dashboard by keyboard: a run seen live, searched, opened, replayed; what is held, reviewed."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from service.prediction import Disposition, Ref
from service.simulator.scenario import Scenario
from service.simulator.simulator import SimulatorConfig
from service.simulator.sink import Outage
from tests.browser.visitor import visiting
from tests.serving import SECRET, serving_with
from tests.workplace import dispositions, shop_of, until, workplace
from workers import deliver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.browser.visitor import Visitor
    from tests.workplace import Workplace
    from workers.workshop import Workshop

pytestmark = pytest.mark.anyio

TOKEN = "an-admin-token-of-the-tests"
HELD = 20


@asynccontextmanager
async def at_the_desk(
    browser: Browser, redis_url: str, folder: Path, **changes: Any
) -> AsyncIterator[tuple[Workplace, Workshop, Visitor]]:
    """Somebody before the dashboard, signed in, and all that is behind it."""
    wanted = {"webhook_secrets": SECRET, "admin_token": TOKEN} | changes
    config = SimulatorConfig(delay=(0, 0), media_bytes=2_000)
    async with (
        workplace(redis_url, folder, config=config, **wanted) as place,
        shop_of(place) as shop,
        serving_with(place.settings, redis_url) as server,
        visiting(browser, server.url) as visitor,
    ):
        await visitor.open("/predictions")
        await visitor.page.get_by_label("Token").fill(TOKEN)
        await visitor.page.keyboard.press("Enter")
        await visitor.page.get_by_role("heading", name="Predictions").wait_for()
        yield place, shop, visitor


def row(page: Page, ref: Ref) -> Any:
    return page.locator("tr", has_text=ref.id)


async def test_a_run_is_seen_live_searched_opened_and_replayed(
    browser: Browser, redis_url: str, tmp_path: Path
) -> None:
    async with at_the_desk(browser, redis_url, tmp_path) as (place, shop, visitor):
        page = visitor.page
        clean = await place.complete(place.payload(Scenario.CLEAN))
        await row(page, clean).get_by_text("accepted").wait_for()
        await place.worked(shop, clean)
        await row(page, clean).get_by_text("done").wait_for()
        failed = await place.complete(place.payload(Scenario.FAILED))
        await place.worked(shop, failed)
        await row(page, failed).wait_for()

        await page.keyboard.press("/")
        await page.keyboard.type("stage:done")
        await page.keyboard.press("Enter")
        await row(page, failed).wait_for(state="detached")
        await page.locator("#main").focus()
        await page.keyboard.press("j")
        await page.keyboard.press("o")
        await page.wait_for_url(f"**/predictions/{clean.id}**")
        await page.get_by_role("button", name="Fetch again").press("Enter")
        await until(lambda: _is_at(place, clean, "accepted"), what="it is replayed")
        await place.worked(shop, clean)
        await page.get_by_role("rowheader", name="replayed").wait_for()
        await page.locator(".badge", has_text="done").first.wait_for()


async def _is_at(place: Workplace, ref: Ref, stage: str) -> bool:
    return await place.stage(ref) == stage


async def test_twenty_held_outputs_are_decided_by_keyboard_and_one_taken_back(
    browser: Browser, redis_url: str, tmp_path: Path
) -> None:
    async with at_the_desk(browser, redis_url, tmp_path) as (place, shop, visitor):
        refs = [await place.complete(place.payload(Scenario.UNKNOWN)) for _ in range(HELD)]
        for ref in refs:
            await place.worked(shop, ref)
        page = visitor.page
        await visitor.open("/review")
        await page.locator("#main").focus()
        await page.keyboard.press("a")
        await page.get_by_text("Say who you are first.").wait_for()
        await page.keyboard.type("ada")
        await page.keyboard.press("Enter")
        await page.get_by_text("Reviewing as ada").wait_for()
        await page.keyboard.press(" ")
        await page.get_by_role("button", name="Cover again").wait_for()
        await page.keyboard.press("3")
        await page.get_by_label("In your words").fill("look twice")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await page.get_by_text("reveal it").wait_for()
        await page.get_by_role("button", name="Greyscale", pressed=False).press("Enter")
        await page.get_by_role("button", name="Greyscale", pressed=True).wait_for()
        assert await page.get_by_role("button", name="Cover again").is_visible(), "revealed still"
        assert await page.get_by_label("In your words").input_value() == "look twice"
        await page.keyboard.press("3")
        assert await page.locator("[data-key='0']").is_checked(), "the same key takes the reason back"
        await page.get_by_label("In your words").fill("")
        await page.keyboard.press("Escape")
        last = ""
        for number in range(HELD):
            last = page.url.partition("?")[0]
            if number % 4 == 0:
                await page.keyboard.press("1")
            await page.keyboard.press("r" if number % 4 == 0 else "a")
            await page.wait_for_url(re.compile(f"^(?!{re.escape(last)})"))
        await page.get_by_text("Nothing").first.wait_for()
        await page.keyboard.press("u")
        await page.wait_for_url(last + "**")
        for ref in refs:
            await place.worked(shop, ref)
        ended = [one for ref in refs for one in dispositions(await place.prediction(ref))]
        assert ended.count(Disposition.REJECTED) == HELD // 4
        assert ended.count(Disposition.RELEASED) == HELD - HELD // 4 - 1
        assert ended.count(Disposition.HELD) == 1


async def test_a_hook_is_seen_to_fail_and_to_recover(
    browser: Browser, redis_url: str, tmp_path: Path
) -> None:
    async with at_the_desk(
        browser, redis_url, tmp_path, outage=Outage(first=3), hook_schedule="10ms,10ms,10ms,10ms"
    ) as (place, shop, visitor):
        await visitor.open("/hooks/sink")
        await visitor.page.locator(".badge", has_text="enabled").first.wait_for()
        ref = await place.complete(place.payload(Scenario.CLEAN))
        await place.worked(shop, ref)
        (delivery,) = (await place.prediction(ref))["deliveries"]
        await deliver.deliver(shop, delivery["id"])
        await visitor.page.locator(".badge", has_text="failing").first.wait_for()
        await place.delivered(shop, ref)
        await visitor.page.locator(".badge", has_text="enabled").first.wait_for()
