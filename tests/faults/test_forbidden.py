"""I7: an output's URL leads nowhere that is forbidden, however it is spelled."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from httpx_aiohttp import HttpxAiohttpClient

from service import clock, wavespeed
from service.simulator import courier
from service.simulator.plot import Kind, Letter
from service.simulator.simulator import DEMO_SECRET
from tests.faults.family import MODEL, Family
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.faults.chance import Chance
    from tests.faults.history import History

SPELLINGS = (
    *("http://[::1]:{port}/a.png", "http://[0:0:0:0:0:0:0:1]:{port}/a.png", "http://[::ffff:127.0.0.2]:{port}/"),
    *("http://127.0.0.2:{port}/a.png", "http://127.2:{port}/", "http://0x7f000002:{port}/", "http://2130706434:{port}/"),
    *("http://0177.0.0.2:{port}/", "http://a@127.0.0.2:{port}/", "http://127.0.0.2.:{port}/", "http://①27.0.0.2:{port}/"),
)  # fmt: skip
FORBIDDEN = ("127.0.0.2", "::1")


@contextlib.asynccontextmanager
async def canaries(history: History) -> AsyncIterator[int]:
    """Their common port; every connection that one accepts becomes a line of the history."""

    async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        history.write("canary", address=str(writer.get_extra_info("sockname")))
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        port = 0
        for address in FORBIDDEN:
            server = await stack.enter_async_context(await asyncio.start_server(accepted, address, port))
            port = server.sockets[0].getsockname()[1]
        yield port


def test_i7_no_forbidden_address_accepts_a_connection(tmp_path: Path, chance: Chance) -> None:
    changes = {"fetch_hosts": "*", "fetch_private": "127.0.0.1/32"}
    with Family(tmp_path, chance.seed, ways=(), changes=changes) as family:
        port = family.backstage.enter(canaries(family.history))
        urls = [spelling.format(port=port) for spelling in SPELLINGS]
        family.backstage.run(call_back(family, urls))
        allowed = family.submit("clean")
        wait_until(lambda: family.stage(allowed) == "done", what="what is allowed is fetched")
        for number in range(len(urls)):
            wait_until(lambda id_=f"forbidden_{number}": family.stage(id_) == "dead")  # type: ignore[misc]  # bound to this round
        family.calm()
        family.settle()
        # The provider does not know these predictions, and so their manifests are nobody's.
        account = family.judge(ignore=["I3 files"])
    assert account.found(allowed)["outputs"][0]["disposition"] == "stored"


async def call_back(family: Family, urls: list[str]) -> None:
    """Well signed and completed, by a provider that a stranger has talked into it."""
    async with HttpxAiohttpClient(trust_env=False) as client:
        for number, url in enumerate(urls):
            body = {
                "id": f"forbidden_{number}",
                "model": MODEL,
                "status": "completed",
                "created_at": clock.rfc3339(clock.now()),
                "outputs": [url],
                "has_nsfw_contents": [False],
            }
            letter = Letter(Kind.GENUINE, f"msg_{number}")
            path = f"{family.base}/webhooks/{wavespeed.SOURCE}"
            sent = await courier.post(client, path, [DEMO_SECRET], letter, body)
            assert sent.status == 200
