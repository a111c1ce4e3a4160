"""`python -m tests.browser.screenshots FOLDER [PATH ...]`: every page, wide and narrow, both themes, as PNG.

The ledger behind them has some of everything. With paths, those pages alone.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from service import embedded
from tests.browser import chromium
from tests.browser.filled import filled
from tests.browser.visitor import NARROW, WIDE, visiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.browser.visitor import Theme, Visitor

_SIZES = {"wide": WIDE, "narrow": NARROW}
_THEMES: tuple[Theme, ...] = ("light", "dark")


async def _shoot(folder: Path, wanted: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="screenshots-") as scratch:
        where = Path(scratch)
        with embedded.running(where) as redis_url:
            async with filled(redis_url, where) as lived, chromium.running() as browser:
                paths = [*(wanted or await lived.pages())]
                for name, size in _SIZES.items():
                    async with visiting(browser, lived.server.url, size) as visitor:
                        for path in paths:
                            await _one(visitor, path, folder / f"{_named(path)}-{name}")


async def _one(visitor: Visitor, path: str, file: Path) -> None:
    await visitor.open(path)
    # What is far below is loaded when it is near.
    await visitor.page.evaluate("() => [...document.images].forEach((img) => img.loading = 'eager')")
    await visitor.page.wait_for_function("() => [...document.images].every((img) => img.complete)")
    for theme in _THEMES:
        await visitor.page.emulate_media(color_scheme=theme)
        await visitor.page.screenshot(path=f"{file}-{theme}.png", full_page=True)


def _named(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-") or "now"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(_shoot(target, sys.argv[2:]))
