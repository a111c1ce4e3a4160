"""A flood of forged callbacks costs Redis, the log and the genuine ones little, and every one is counted."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import httpx
import pytest
import redis

from service.ledger import Ledger
from service.web import turned_away
from tests.refused import FORGED, GOOD, counted, flood, listed
from tests.serving import PATH, callback, own_redis, role, serving
from tests.waiting import wait_until
from tests.workplace import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.serving import OwnRedis, Served

anyio = pytest.mark.anyio


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Served]:
    async with serving(redis_url) as served:
        yield served


@anyio
async def test_a_flood_of_forged_callbacks_is_a_handful_of_writes_and_exact_totals(
    server: Served, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.config_resetstat()
        began = time.monotonic()
        await flood(server, 5000)
        await server.client.get(PATH)
        took = time.monotonic() - began
        await counted(server, signature=5000, method=1)
        commands = client.info("commandstats")
    # One more at each end, and one that the server did not know the script for.
    most = took / turned_away.WRITE_EVERY + 3
    assert 1 <= commands["cmdstat_evalsha"]["calls"] <= most
    assert commands["cmdstat_zadd"]["calls"] <= most * turned_away.SAMPLE + 1
    kept = (await listed(server, limit=200))["items"]
    assert 1 <= len(kept) <= most * turned_away.SAMPLE + 1
    assert {"method", "signature"} == {one["reason"] for one in kept}


@anyio
async def test_genuine_callbacks_are_answered_in_time_during_a_flood(server: Served) -> None:
    flooding = asyncio.create_task(flood(server, 3000, connections=4))
    taken: list[float] = []
    while not flooding.done():
        began = time.monotonic()
        assert (await server.call_back(callback(f"p{len(taken)}"))).status_code == 200
        taken.append(time.monotonic() - began)
    await flooding
    assert len(taken) > 20
    assert statistics.quantiles(taken, n=20)[-1] < 0.25
    await counted(server, signature=3000)


@anyio
async def test_a_redis_that_is_away_meanwhile_loses_no_counts(
    own: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turned_away, "WRITE_EVERY", 0.02)
    async with serving(own.url) as server:
        await server.call_back(GOOD, FORGED)
        await counted(server, signature=1)
        own.kill()
        for _ in range(3):
            await flood(server, 100)
            assert (await server.call_back(GOOD)).status_code == 503
            assert (await server.client.get(PATH)).status_code == 405
        assert (await server.client.get("/api/v1/refused")).status_code == 503
        # In a thread: what was refused is tried to be written all the while.
        await asyncio.to_thread(own.start)
        await until(lambda: comes_back(server))
        await counted(server, signature=301, method=3)
        kept = (await listed(server, limit=200))["items"]
    # The batch that could not be written, and one more of all that came since.
    assert len(kept) <= 1 + 2 * (turned_away.SAMPLE + 3)


async def comes_back(server: Served) -> bool:
    return (await server.client.get("/readyz")).status_code == 200


@anyio
async def test_what_was_refused_just_before_the_end_is_written_at_the_end(redis_url: str) -> None:
    async with serving(redis_url) as server:
        await server.call_back(GOOD, FORGED)
        await counted(server, signature=1)
        await flood(server, 40)
    ledger = Ledger(redis_url, 8e5)
    assert await ledger.refusals.totals() == {"signature": 41}
    await ledger.aclose()


def test_a_flood_fills_no_log(tmp_path: Path, redis_url: str) -> None:
    with role(tmp_path, redis_url) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        began = time.monotonic()
        for _ in range(300):
            assert client.post(PATH, content=GOOD, headers=FORGED).status_code == 401
        took = time.monotonic() - began
        client.get(PATH)
        server.process.terminate()
        assert server.process.wait(10) == 0
    said = [line for line in server.lines() if line["event"] == "callback.refused"]
    single = [line for line in said if "more" not in line]
    forged = [line for line in single if line["reason"] == "signature"]
    assert forged[0] == forged[0] | {
        "source": "wavespeed", "why": "no signature matches", "address": "127.0.0.1"
    }  # fmt: skip
    assert [line["reason"] for line in single if line not in forged] == ["method"]
    assert len(forged) <= (took + 1) * turned_away.LINES
    assert len(forged) + sum(line.get("more", 0) for line in said) == 300


def test_counts_that_could_not_be_written_at_the_end_are_in_the_log(tmp_path: Path) -> None:
    with own_redis(tmp_path) as own, role(tmp_path, own.url) as server:
        own.kill()
        for _ in range(12):
            assert httpx.post(server.url + PATH, content=GOOD, headers=FORGED).status_code == 401
        wait_until(lambda: "redis.away" in server.said())
        server.process.terminate()
        assert server.process.wait(10) == 0
    (line,) = [line for line in server.lines() if line["event"] == "refused.not_written"]
    assert line["signature"] == 12
