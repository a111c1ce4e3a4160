"""Who beats, who does not, what each has in flight, and what was set aside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.ledger import Ledger
from service.ledger.roles import Said
from tests.pages import get
from tests.serving import callback, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving import Served

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, concurrency=32) as served:
        yield served


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, 8e5)
    yield opened
    await opened.aclose()


async def test_processes_are_shown_with_what_they_have_in_flight(server: Served, ledger: Ledger) -> None:
    await ledger.roles.beat("work", "w1", since=1.0, said=Said(7))
    await ledger.roles.beat("sweep", "s1")
    await ledger.sweeping.lead("s1", 10)
    await server.call_back(callback("p1"))
    text = (await get(server.client, "/workers")).text
    assert "w1 worker" in text
    assert "7 of 32" in text
    assert "s1 sweeper (leads)" in text
    assert "Jobs in the queue 1 Waiting 1" in text
    assert "Nothing: every job in the queue could be read." in text


async def test_who_is_missing_is_named_with_its_command(server: Served, ledger: Ledger) -> None:
    await server.call_back(callback("p1"))
    text = (await get(server.client, "/workers")).text
    assert "No worker is alive while work waits. catchlight work" in text
    assert "No sweeper is alive while work waits. catchlight sweep" in text


async def test_what_was_set_aside_is_listed_with_its_reason(server: Served, ledger: Ledger) -> None:
    line = {"job": "evil", "why": "names os.system", "at": 1_700_000_000.5}
    await ledger.redis.lpush(keys.ASIDE, json.dumps(line))
    text = (await get(server.client, "/workers")).text
    assert "evil" in text
    assert "names os.system" in text


async def test_of_a_worker_in_trouble_it_says_what(server: Served, ledger: Ledger) -> None:
    await ledger.roles.beat("work", "w1", said=Said(0, "the storage fails: no such bucket"))
    assert "fail the storage fails: no such bucket" in (await get(server.client, "/workers")).text
