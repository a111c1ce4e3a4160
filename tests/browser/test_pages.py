"""Every page, of a ledger that has lived and of an empty one: no complaint, and axe-core finds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser import accessible
from tests.browser.filled import filled
from tests.browser.visitor import NARROW, WIDE, visiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from playwright.async_api import Browser, Page

    from tests.browser.filled import Filled
    from tests.browser.visitor import Visitor

pytestmark = pytest.mark.anyio

_TOO_WIDE = """() => document.documentElement.scrollWidth > document.documentElement.clientWidth"""
_SHIFT = """() => new Promise((told) => new PerformanceObserver((list) => told(list.getEntries()
  .filter((e) => !e.hadRecentInput).reduce((sum, e) => sum + e.value, 0)))
  .observe({type: "layout-shift", buffered: true}) || setTimeout(() => told(0), 50))"""


@pytest.fixture(scope="module")
async def lived(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Filled]:
    async with filled(redis_server, tmp_path_factory.mktemp("lived")) as found:
        yield found


async def faults(visitor: Visitor, path: str) -> list[str]:
    """Of one page, wide and narrow, light and dark; a theme makes a difference to colours only."""
    found: list[str] = []
    for size in (WIDE, NARROW):
        await visitor.page.set_viewport_size({"width": size[0], "height": size[1]})
        await visitor.page.emulate_media(color_scheme="light")
        found += [f"{size[0]} px: {line}" for line in await accessible.violations(visitor.page)]
        if await visitor.page.evaluate(_TOO_WIDE):
            found.append(f"{size[0]} px: the page scrolls sideways")
        await visitor.page.emulate_media(color_scheme="dark")
        dark = await accessible.violations(visitor.page, accessible.COLOURS)
        found += [f"{size[0]} px, dark: {line}" for line in dark]
    return [f"{path}: {line}" for line in found]


async def looked_at(visitor: Visitor, paths: Sequence[str]) -> list[str]:
    found = []
    for path in paths:
        await visitor.open(path)
        if await is_a_page(visitor.page):
            found += await faults(visitor, path)
    return found


async def is_a_page(page: Page) -> bool:
    """And no part of one, nor data."""
    return bool(await page.evaluate("() => document.doctype !== null"))


async def test_no_page_breaks_a_rule(browser: Browser, lived: Filled) -> None:
    async with visiting(browser, lived.server.url) as visitor:
        found = await looked_at(visitor, await lived.pages())
    assert not found, "\n".join(found)
