"""The gallery in a browser: what is opened stays where it was, and lies beside nothing that moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.prediction import Disposition
from tests.browser.visitor import NARROW, WIDE, visiting
from tests.pictures import encoded, scene
from tests.serving import serving
from tests.shown import File, show

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
async def test_opening_a_picture_moves_no_tile_aside(
    browser: Browser, redis_url: str, tmp_path: Path, size: tuple[int, int]
) -> None:
    data = encoded(scene(1))
    for number in range(13):
        await show(redis_url, tmp_path, f"g{number}", File(data, disposition=Disposition.STORED))
    async with (
        serving(redis_url, storage_url=tmp_path.as_uri()) as server,
        visiting(browser, server.url, size) as visitor,
    ):
        page = visitor.page
        await visitor.open("/gallery")
        tiles = page.locator("[data-tile]")
        names = [await one.get_attribute("data-tile") for one in await tiles.all()]
        assert names == [f"wavespeed:g{number}:0" for number in reversed(range(13))]
        first, second = await tiles.nth(0).bounding_box(), await tiles.nth(1).bounding_box()
        assert first is not None
        assert second is not None
        assert (first["y"], first["x"] < second["x"]) == (second["y"], True), "newest first, across the row"
        chosen = tiles.nth(10)
        await chosen.scroll_into_view_if_needed()
        before = await chosen.bounding_box()
        await chosen.click()
        await page.locator("#panel h2").wait_for()
        await page.locator("[data-tile][aria-current]").wait_for()
        after = await chosen.bounding_box()
        panel = await page.locator("#panel").bounding_box()
        assert before is not None
        assert after is not None
        assert panel is not None
        assert (after["x"], after["width"]) == (before["x"], before["width"]), "the grid is as it was"
        room = panel["y"] if size == NARROW else size[1]
        assert after["y"] < room, "it is in view"
        await page.keyboard.press("Escape")
        await page.locator("#panel").wait_for(state="hidden")
