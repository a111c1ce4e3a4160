"""The page of refused callbacks: why, how often lately, what to do, and the last of them page by page."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from service import clock
from service.ledger import Ledger
from service.ledger.refusals import Batch, RefusedCallback
from service.refusals import RefusedFor
from service.web.dashboard import strip
from tests.pages import get
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving import Served

pytestmark = pytest.mark.anyio

ONE = RefusedCallback(
    0.0, "<img src=x>", RefusedFor.SIGNATURE, "no signature matches", "192.0.2.7", 512, "msg_1"
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server) as served:
        yield served


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, 8e5)
    yield opened
    await opened.aclose()


async def test_each_reason_has_its_remedy_and_its_count(server: Served, ledger: Ledger) -> None:
    one = dataclasses.replace(ONE, at=clock.now())
    counts: dict[RefusedFor | str, int] = {RefusedFor.SIGNATURE: 4000, RefusedFor.METHOD: 2, "of_tomorrow": 1}
    await ledger.refusals.write(Batch("p", 1, counts, [one]))
    page = await get(server.client, "/refused")
    assert page.text.index("signature") < page.text.index("method"), "what is most frequent comes first"
    assert "catchlight connect compares CATCHLIGHT_WEBHOOK_SECRETS" in page.text
    assert "4,000" in page.text
    assert "a newer version knows more of it" in page.text
    assert "<img src=x>" in page.text, "a stranger's words are text"
    assert "img" not in [tag for tag, _ in page.tags]
    labels = [found["aria-label"] for tag, found in page.tags if tag == "svg" and "aria-label" in found]
    assert "signature: 4,000 in the last 48 hours" in labels


async def test_they_are_listed_page_by_page(server: Served, ledger: Ledger) -> None:
    sample = [dataclasses.replace(ONE, at=clock.now(), size=n, webhook_id=f"msg-{n}") for n in range(51)]
    await ledger.refusals.write(Batch("p", 1, {RefusedFor.SIGNATURE: 51}, sample))
    first = await get(server.client, "/refused")
    (older,) = [link for link in first.links if "cursor=" in link]
    rest = await get(server.client, older)
    assert ("msg-50" in first.text, "msg-0 " in first.text + " ") == (True, False)
    assert "msg-0" in rest.text
    assert "/refused" in rest.links


async def test_without_any_the_page_says_so(server: Served, redis_url: str) -> None:
    assert "No callback was refused" in (await get(server.client, "/refused")).text


def test_marks_are_as_high_as_they_are_many() -> None:
    bars = strip.counted([(0, 0), (3600, 8), (7200, 1)])
    assert [(bar.height, bar.health) for bar in bars] == [(2, "idle"), (32, "mixed"), (4, "mixed")]
    assert [bar.title for bar in bars][:2] == ["1970-01-01 00:00 UTC: none", "1970-01-01 01:00 UTC: 8"]
