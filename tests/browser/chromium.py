"""Debian's Chromium, driven by Playwright, with nothing that talks to anybody but us."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

PACKAGE = "chromium"
MISSING = f"no Chromium on this machine: install the package `{PACKAGE}` (CI does)"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page asks of another host is not found, besides being complained about.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def installed() -> str | None:
    """Its path."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@asynccontextmanager
async def running() -> AsyncIterator[Browser]:
    """With a profile of its own, which goes with it. Raises FileNotFoundError when there is none."""
    executable = installed()
    if executable is None:
        raise FileNotFoundError(MISSING)
    async with async_playwright() as driver:
        with tempfile.TemporaryDirectory(prefix="chromium-") as folder:
            browser = await driver.chromium.launch(
                executable_path=executable, args=[*_FLAGS, f"--disk-cache-dir={folder}"], env={"HOME": folder}
            )
            try:
                yield browser
            finally:
                await browser.close()
