"""Every setting on a page: its value, its origin, what it is for; no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.settings import Settings
from tests.pages import get
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving import Served

pytestmark = pytest.mark.anyio

SECRET = "very-secret-key-4711"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, public_url="http://hooks.example", wavespeed_api_key=SECRET) as served:
        yield served


async def test_all_are_there_with_their_meaning_and_warnings_on_top(server: Served) -> None:
    page = await get(server.client, "/settings")
    for row in Settings().describe():
        assert (row.variable or f"[[{row.name}]]") in page.text
        assert row.meaning.partition("`")[0].strip() in page.text
    assert page.text.index("callbacks over http can be read on their way") < page.text.index(
        "CATCHLIGHT_HOST"
    )


async def test_no_secret_is_on_the_page(server: Served) -> None:
    text = (await server.client.get("/settings", headers={"accept": "text/html"})).text
    assert SECRET not in text
    assert "characters)" in text


async def test_one_is_found_by_what_it_says(server: Served) -> None:
    page = await get(server.client, "/settings?find=quarter+of+it")
    assert "CATCHLIGHT_LEASE" in page.text
    assert "CATCHLIGHT_GRACE" not in page.text
    assert "No setting is like that" in (await get(server.client, "/settings?find=%3Cnothing%3E")).text


async def test_only_those_that_were_set_are_shown_when_asked(server: Served) -> None:
    """Given as values, as here, they have no origin."""
    assert "No setting is like that" in (await get(server.client, "/settings?only=set")).text
