"""Redis goes away, and the receiver says so in time, loses nothing, and comes back by itself."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from service import embedded
from tests.serving import callback, own_redis, serving, sign, stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.serving import OwnRedis, Served

pytestmark = pytest.mark.anyio

IN_TIME = 2.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
async def server(own: OwnRedis) -> AsyncIterator[Served]:
    async with serving(own.url) as served:
        yield served


async def turned_away(server: Served, id_: str = "away") -> None:
    """A 503 in time that says when to come again, and no more than that."""
    began = time.monotonic()
    answer = await server.call_back(callback(id_))
    assert time.monotonic() - began < IN_TIME
    assert (answer.status_code, answer.json()["reason"]) == (503, "redis_down")
    assert int(answer.headers["retry-after"]) >= 1
    assert "127.0.0.1" not in answer.text


async def comes_back(server: Served, id_: str = "away") -> None:
    deadline = time.monotonic() + 10
    while (answer := await server.call_back(callback(id_))).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.05)


async def test_a_killed_redis_is_a_503_until_it_is_back_and_nothing_answered_is_lost(
    own: OwnRedis, server: Served
) -> None:
    assert (await server.call_back(callback("before"))).status_code == 200
    own.kill()
    await turned_away(server)
    own.start()
    await comes_back(server)
    assert stored(own.url, "before")["stage"] == stored(own.url, "away")["stage"] == "accepted"


async def test_a_full_redis_is_a_503_until_there_is_room(own: OwnRedis, server: Served) -> None:
    await server.call_back(callback("before"))
    own.configure("maxmemory", "1mb")
    await turned_away(server)
    ready = await server.client.get("/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "redis_down")
    own.configure("maxmemory", "0")
    await comes_back(server)


async def test_a_frozen_redis_is_a_503_for_every_one_of_a_crowd(own: OwnRedis, server: Served) -> None:
    await server.call_back(callback("before"))
    own.process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.gather(*(turned_away(server, f"p{n}") for n in range(40)))
        # These find a batch under way that will not be answered either.
        await asyncio.gather(*(late(server, n / 5) for n in range(8)))
        began = time.monotonic()
        assert (await server.client.get("/readyz")).status_code == 503
        assert time.monotonic() - began < IN_TIME
        assert (await server.client.get("/livez")).status_code == 200
    finally:
        own.process.send_signal(signal.SIGCONT)
    await comes_back(server)


async def late(server: Served, wait: float) -> None:
    await asyncio.sleep(wait)
    await turned_away(server, f"late-{int(wait * 10)}")


async def test_a_redis_that_takes_connections_and_says_nothing_is_a_503() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        async with serving(embedded.url(hole.getsockname()[1])) as server:
            await turned_away(server)
            assert (await server.client.get("/readyz")).status_code == 503
            assert (await server.client.get("/livez")).status_code == 200


async def test_what_is_refused_is_refused_without_redis_too(own: OwnRedis, server: Served) -> None:
    own.kill()
    good = callback()
    assert (await server.call_back(good, sign(good, secret="other"))).status_code == 401
    assert (await server.call_back(b"no json")).status_code == 400


async def test_the_api_without_redis_is_a_503_that_tells_no_address(own: OwnRedis, server: Served) -> None:
    own.kill()
    for method, path in [
        ("GET", "predictions"),
        ("GET", "predictions/x"),
        ("POST", "predictions/x/track"),
        ("POST", "predictions/x/replay"),
        ("GET", "deliveries"),
        ("GET", "refused"),
        ("GET", "scaling"),
    ]:
        answer = await server.client.request(method, f"/api/v1/{path}")
        assert (answer.status_code, answer.json()["reason"]) == (503, "redis_down")
        assert "127.0.0.1" not in answer.text
