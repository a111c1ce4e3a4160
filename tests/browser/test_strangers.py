"""Strangers' words in every field that a page shows: none is executed, none asks for anything elsewhere."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from service.ledger import Ledger
from service.ledger.query import Query
from tests.browser import addresses, markup, strangers
from tests.browser.hostile import PAYLOADS
from tests.browser.visitor import visiting
from tests.builders import RETENTION, hook
from tests.serving import serving
from tests.workplace import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

    from tests.browser.visitor import Visitor
    from tests.serving import Served

pytestmark = pytest.mark.anyio

_LISTS = ("/predictions", "/deliveries", "/gallery", "/refused", "/review", "/runs/new", "/runs")
_UNFOLD = "() => document.querySelectorAll('details').forEach((one) => { one.open = true; })"
_FIELDS = ("query", "cursor", "after", "kind", "state", "hook", "source", "q", "span", "again")


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    await strangers.write(redis_server)
    crm = hook().model_copy(update={"url": "https://crm.example/<script>__pwned(1)</script>"})
    async with serving(redis_server, hooks=(crm,)) as served:
        yield served


@pytest.fixture(scope="module")
async def paths(server: Served, redis_server: str) -> list[str]:
    ledger = Ledger(redis_server, RETENTION)
    try:
        found = await addresses.pages(server.app.routes, ledger, [hook()])
        listed = [f"/predictions?cursor={cursor}" for cursor in await _cursors(ledger)]
    finally:
        await ledger.aclose()
    ids = [*strangers.PAGES]
    return [*found, *listed, *(f"/predictions/{id_}" for id_ in ids)]


async def _cursors(ledger: Ledger) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        _, cursor = await ledger.reading.page(Query(), 50, cursor)
        if cursor is None:
            return found
        found.append(cursor)


async def test_a_hundred_payloads_and_more() -> None:
    assert len(set(PAYLOADS)) >= 100


async def test_no_markup_comes_from_strangers(server: Served, paths: list[str]) -> None:
    """Of every page, and of one for each payload, without a browser: nothing is there that could act."""
    found = []
    for path in [*paths, *(f"/predictions/one-{n}" for n in range(len(PAYLOADS)))]:
        answer = await server.client.get(path, headers={"accept": "text/html"}, follow_redirects=True)
        assert answer.status_code == 200, path
        found += [f"{path}: {line}" for line in markup.faults(answer.text)]
    assert not found, "\n".join(found)


async def test_no_markup_comes_from_the_address(server: Served) -> None:
    """Neither from a query that is understood nor from one that is not, nor from a cookie."""
    found = []
    for n, payload in enumerate(PAYLOADS):
        address = f"{_LISTS[n % len(_LISTS)]}?{_FIELDS[n % len(_FIELDS)]}={quote(payload)}"
        for path in (address, f"/{quote(payload, safe='')}"):
            answer = await server.client.get(path, headers={"accept": "text/html"})
            assert answer.status_code < 500, path
            found += [f"{path}: {line}" for line in markup.faults(answer.text)]
    assert not found, "\n".join(found)


async def test_nothing_is_executed_in_the_browser(browser: Browser, server: Served, paths: list[str]) -> None:
    async with visiting(browser, server.url) as visitor:
        # Files that were never fetched have no thumbnails.
        with visitor.expecting(r"status of 404"):
            for path in paths:
                await visitor.open(path)
                # What is folded away may act when it is unfolded, and what has a handler when it is met.
                await visitor.page.evaluate(_UNFOLD)
                assert await visitor.page.title() != "", path
                visitor.satisfied()


async def test_nothing_is_executed_from_a_query(browser: Browser, server: Served) -> None:
    async with visiting(browser, server.url) as visitor:
        with visitor.expecting(r"status of 4\d\d"):
            for payload in PAYLOADS[::12]:
                await visitor.open(f"/predictions?query={quote(payload)}")


def _complains(visitor: Visitor, word: str) -> bool:
    return word in "\n".join(visitor.complaints)


async def test_a_visitor_would_complain(browser: Browser, server: Served) -> None:
    """Of whatever these payloads ask for: else their silence would say nothing."""
    async with visiting(browser, server.url) as visitor:
        await visitor.open("/runs")
        await visitor.page.evaluate(
            """async () => {
              __pwned(1);
              document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=__pwned(2)>");
              await fetch("//evil.example/").catch(() => null);
              console.warn("odd");
            }"""
        )
        for word in ("executed: 1", "CSP: script-src-attr", "CSP: connect-src", "console warning: odd"):
            await until(partial(_complains, visitor, word), what=word)
        visitor.complaints.clear()
