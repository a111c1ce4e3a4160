"""The way in, in a browser: a wrong token, the right one, the page that was asked for, and out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser import accessible
from tests.browser.visitor import NARROW, WIDE, visiting
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

    from tests.serving import Served

pytestmark = pytest.mark.anyio

ADMIN, VIEWER = "an-admin-token-of-the-tests", "a-viewer-token-of-the-tests"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, admin_token=ADMIN, viewer_token=VIEWER, environment="staging") as served:
        yield served


async def test_a_token_opens_the_page_that_was_asked_for(browser: Browser, server: Served) -> None:
    async with visiting(browser, server.url) as visitor:
        await visitor.open("/nowhere?of=this")
        with visitor.expecting("401"):
            await visitor.page.get_by_label("Token").fill("wrong")
            await visitor.page.keyboard.press("Enter")
            await visitor.page.get_by_role("alert").wait_for()
            await visitor.page.get_by_text("That token is wrong.").wait_for()
        with visitor.expecting("404"):
            await visitor.page.get_by_label("Token").fill(ADMIN)
            await visitor.page.keyboard.press("Enter")
            await visitor.page.get_by_role("button", name="Sign out").wait_for()
        assert visitor.page.url == f"{server.url}/nowhere?of=this"
        await visitor.open("/runs/new")
        await visitor.page.get_by_label("Query").fill("stage:dead")
        await visitor.page.get_by_role("button", name="Dark").click()
        await visitor.page.locator("html[data-theme=dark]").wait_for()
        assert await visitor.page.get_by_label("Query").input_value() == "stage:dead", "the form is as it was"
        await visitor.open("/workers")
        await visitor.page.locator("html[data-theme=dark]").wait_for()
        await visitor.page.get_by_role("button", name="Sign out").click()
        await visitor.page.get_by_role("heading", name="Sign in").wait_for()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_way_in_is_open_to_everybody(
    browser: Browser, server: Served, theme: str, size: tuple[int, int]
) -> None:
    async with visiting(browser, server.url, size, color_scheme=theme) as visitor:
        await visitor.open("/sign-in")
        assert await accessible.violations(visitor.page) == []
