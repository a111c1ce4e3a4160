"""What a page asks of Redis: not many commands, however much there is; and the list leads to its end."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest
import redis

from service.ledger import Ledger
from tests.bench import variety
from tests.browser import addresses
from tests.builders import RETENTION, hook
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving import Served

pytestmark = pytest.mark.anyio

HELD, DEAD = 240, 60
COMMANDS_MOST = 800
"""Of one page, what scripts call included; a list has 50 rows."""
_PROBES = ("cmdstat_info", "cmdstat_config", "cmdstat_hello", "cmdstat_client")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    await variety.add(redis_server, HELD, DEAD)
    async with serving(redis_server, hooks=(hook(),)) as served:
        yield served


async def test_a_page_asks_for_little(server: Served, redis_server: str) -> None:
    ledger = Ledger(redis_server, RETENTION)
    try:
        paths = await addresses.pages(server.app.routes, ledger, [hook()])
    finally:
        await ledger.aclose()
    asked = {path: await _commands(server, redis_server, path) for path in paths}
    assert {path: count for path, count in asked.items() if count > COMMANDS_MOST} == {}


async def _commands(server: Served, url: str, path: str) -> int:
    """The second time: the first may learn what is kept for the others."""
    with redis.Redis.from_url(url) as client:
        for _ in range(2):
            client.config_resetstat()
            answer = await server.client.get(path, headers={"accept": "text/html"}, follow_redirects=True)
            assert answer.status_code == 200, path
        stats = client.info("commandstats")
    return sum(one["calls"] for name, one in stats.items() if name not in _PROBES)


async def test_the_list_goes_on_by_cursor_to_its_end(server: Served) -> None:
    seen: list[str] = []
    path: str | None = "/predictions"
    while path is not None:
        answer = await server.client.get(path, headers={"accept": "text/html"})
        seen += re.findall(r'class="mono hint">([^<]+)<', answer.text)
        older = re.findall(r'href="([^"]+)" rel="next"', answer.text)
        path = html.unescape(older[0]) if older else None
    assert len(seen) == len(set(seen)) == HELD + DEAD
    assert seen[-1] == "v00000000"
