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
    from tests.browser.visitor import Theme, Visitor

pytestmark = pytest.mark.anyio

_TOO_WIDE = """() => document.documentElement.scrollWidth > document.documentElement.clientWidth"""
_BY_MOUSE_ALONE = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary")]
  .filter((one) => one.checkVisibility() && one.type !== "hidden" && !one.disabled)
  .filter((one) => one.tabIndex < 0 || (one.tagName === "A" && !one.hasAttribute("href")))
  .map((one) => one.outerHTML.slice(0, 120))"""
_LOOKS: tuple[tuple[tuple[int, int], Theme, tuple[str, ...]], ...] = (
    (WIDE, "light", ()),
    (WIDE, "dark", accessible.COLOURS),
    (NARROW, "dark", accessible.COLOURS),
    (NARROW, "light", accessible.SHAPES),
)


@pytest.fixture(scope="module")
async def lived(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Filled]:
    async with filled(redis_server, tmp_path_factory.mktemp("lived")) as found:
        yield found


async def faults(visitor: Visitor, path: str) -> list[str]:
    """Of one page, wide and narrow, light and dark: all rules once, then those that there may be news of."""
    found: list[str] = []
    for size, theme, rules in _LOOKS:
        await visitor.show(size, theme)
        lines = await accessible.violations(visitor.page, rules)
        if await visitor.page.evaluate(_TOO_WIDE):
            lines.append("the page scrolls sideways")
        lines += [f"no key leads to {one}" for one in await visitor.page.evaluate(_BY_MOUSE_ALONE)]
        found += [f"{path}, {size[0]} px, {theme}: {line}" for line in lines]
    return found


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
