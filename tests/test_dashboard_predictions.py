"""The list of predictions: what a row says, the query with its mistakes, paging, and nobody's scripts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service.ledger import Ledger
from service.prediction import Reason, Stage
from service.web.dashboard import predictions
from tests.builders import accept, accept_one, callback, completed, failed, finish, hook, output
from tests.pages import XSS, Page, dangers, get
from tests.serving import serving
from tests.visitors import ADMIN, TOKENS, VIEWER, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving import Served

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty(redis_url: str) -> None:
    """Every test begins with an empty ledger."""


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, 8e5)
    yield opened
    await opened.aclose()


def attribute(page: Page, id_: str, name: str) -> str | None:
    return next((found.get(name) for _, found in page.tags if found.get("id") == id_), None)


async def test_a_row_says_how_it_stands_and_what_came_of_it(server: Served, ledger: Ledger) -> None:
    await accept_one(ledger, callback(completed("good", "cf")))
    outputs = [output(0), output(1, "held", nsfw="flagged")]  # type: ignore[arg-type]  # as the ledger holds it
    await finish(ledger, "good", hooks=[hook("crm")], outputs=outputs)
    await accept_one(ledger, callback(failed("bad", reason=Reason.MODERATION)))
    await finish(ledger, "bad", Stage.FAILED)
    page = await get(server.client, "/predictions")
    for word in ("acme/painter", "good", "1 stored, 1 held", "flagged", "callback", "crm: pending", "failed"):
        assert word in page.text
    assert "/predictions/good?source=main" in page.links
    pictures = [found["src"] for tag, found in page.tags if tag == "img"]
    assert pictures == ["/media/main/good/0/thumb"], "of what is held there is none"


async def test_an_empty_ledger_and_a_query_that_finds_nothing_say_so(server: Served) -> None:
    assert "appears here by itself" in (await get(server.client, "/predictions")).text
    assert "has all of these words" in (await get(server.client, "/predictions?query=via:poll")).text


async def test_a_wrong_query_is_named_and_stays_in_its_field(server: Served) -> None:
    page = await get(server.client, "/predictions?query=stage:dnoe")
    assert "`stage:dnoe`: stage is one of awaited" in page.text
    assert attribute(page, "query", "value") == "stage:dnoe"
    assert attribute(page, "query", "aria-invalid") == "true"


async def test_completion_knows_what_there_has_been(server: Served, ledger: Ledger) -> None:
    await accept_one(ledger, callback(completed("p1")))
    page = await get(server.client, "/predictions")
    offered = json.loads(attribute(page, "query", "data-vocabulary") or "{}")
    assert offered["model"] == ["acme/painter"]
    assert "callback" in offered["via"]


async def test_older_and_newest_are_links(server: Served, ledger: Ledger) -> None:
    await accept(ledger, *(callback(completed(f"p{number}")) for number in range(60)))
    first = await get(server.client, "/predictions?query=via:callback")
    assert len([tag for tag, found in first.tags if found.get("id", "").startswith("row-")]) == 50
    (older,) = [link for link in first.links if "cursor=" in link]
    second = await get(server.client, older)
    assert len([tag for tag, found in second.tags if found.get("id", "").startswith("row-")]) == 10
    assert "/predictions?query=via%3Acallback" in second.links
    await get(server.client, "/predictions?cursor=rubbish", 400)


async def test_what_is_rare_is_looked_for_a_part_at_a_time(
    server: Served, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "_LOOKED_AT", 1)
    rare = replace(callback(completed("rare")), metadata={"user": 42})
    await accept(ledger, rare, *(callback(completed(f"p{number}")) for number in range(130)))
    first = await get(server.client, "/predictions?query=meta.user:42")
    assert "None so far" in first.text
    (older,) = [link for link in first.links if "cursor=" in link]
    assert "/predictions/rare?source=main" in (await get(server.client, older)).links


async def test_all_that_fit_are_replayed_on_a_page_of_their_own_by_whoever_may(redis_url: str) -> None:
    async with serving(redis_url, **TOKENS) as server:
        opened = Ledger(redis_url, 8e5)
        await accept_one(opened, callback(completed("p1")))
        await opened.aclose()
        link = "/runs/new?kind=replay&query=via%3Acallback"
        path = "/predictions?query=via:callback"
        server.client.headers.update(bearer(ADMIN))
        assert link in (await get(server.client, path)).links
        server.client.headers.update(bearer(VIEWER))
        assert link not in (await get(server.client, path)).links


@pytest.mark.parametrize("payload", XSS)
async def test_strangers_words_are_words(server: Served, ledger: Ledger, payload: str) -> None:
    await accept_one(ledger, callback(completed("p1", model=payload, error=payload)))
    await finish(ledger, "p1", outputs=[output(0, media_type=payload, error=payload)])
    page = await get(server.client, "/predictions")
    assert payload.split(maxsplit=1)[0] in page.text
    assert dangers(page) == []
