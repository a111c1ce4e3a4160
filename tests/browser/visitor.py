"""One person at a browser, who complains about everything that is not as it should be."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser, BrowserContext, Page, Response

Theme = Literal["light", "dark"]
WIDE, NARROW = (1440, 900), (390, 844)
"""Pixels: a desk, and a phone."""
PATIENCE = 10_000
"""Milliseconds."""
_SERVERS_FAULT = 500
_CSP = """
document.addEventListener("securitypolicyviolation", (e) =>
  console.error(`CSP: ${e.violatedDirective} forbids ${e.blockedURI || e.sourceFile} ${e.sample}`));
"""
_PWNED = """
Object.defineProperty(window, "__pwned", {value: (what) => console.error(`executed: ${what}`)});
"""


class Visitor:
    """`page` is what is looked at; `complaints` what was wrong with it so far."""

    def __init__(self, base: str, context: BrowserContext) -> None:
        self.base = base
        self.context = context
        self.page: Page
        self.complaints: list[str] = []
        self._expected: list[str] = []
        self._host = urlsplit(base).netloc

    async def arrive(self) -> None:
        await self.context.add_init_script(_CSP + _PWNED)
        self.context.set_default_timeout(PATIENCE)
        self.context.on("console", lambda said: self._heard(said.type, said.text, said.page))
        self.context.on("weberror", lambda error: self._complain(f"page error: {error.error}"))
        self.context.on("request", lambda request: self._asked(request.url))
        self.context.on("response", self._answered)
        self.context.on("dialog", lambda dialog: self._complain(f"a dialog: {dialog.message}"))
        self.page = await self.context.new_page()

    async def open(self, path: str) -> None:
        await self.page.goto(self.base + path, wait_until="load")

    async def show(self, size: tuple[int, int], theme: Theme) -> None:
        await self.page.set_viewport_size({"width": size[0], "height": size[1]})
        await self.page.emulate_media(color_scheme=theme)

    async def main(self) -> str:
        """The text that is to be seen."""
        return await self.page.locator("#main").inner_text()

    @contextmanager
    def expecting(self, *patterns: str) -> Iterator[None]:
        """Meanwhile complaints that one of these finds something in are none."""
        self._expected += patterns
        try:
            yield
        finally:
            del self._expected[-len(patterns) :]

    def satisfied(self) -> None:
        assert not self.complaints, "the browser complains:\n" + "\n".join(self.complaints)

    def _complain(self, text: str) -> None:
        if not any(re.search(pattern, text) for pattern in self._expected):
            self.complaints.append(text)

    def _heard(self, kind: str, text: str, page: Page | None) -> None:
        if kind in ("error", "warning"):
            self._complain(f"console {kind}: {text} (at {page.url if page else '?'})")

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != self._host:
            self._complain(f"a request elsewhere: {url}")

    def _answered(self, response: Response) -> None:
        if response.status >= _SERVERS_FAULT:
            self._complain(f"answered {response.status}: {response.url}")


@asynccontextmanager
async def visiting(
    browser: Browser, base: str, size: tuple[int, int] = WIDE, **options: Any
) -> AsyncIterator[Visitor]:
    """`options` are Playwright's of a context. At the end it is an error when there were complaints."""
    viewport: Any = {"width": size[0], "height": size[1]}
    options = {"color_scheme": "light", "locale": "en-GB", "reduced_motion": "reduce"} | options
    context = await browser.new_context(viewport=viewport, **options)
    try:
        visitor = Visitor(base, context)
        await visitor.arrive()
        yield visitor
        visitor.satisfied()
    finally:
        await context.close()
