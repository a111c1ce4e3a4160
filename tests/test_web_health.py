"""The probes: alive without anything, ready while Redis takes a write, and nothing else makes it unready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from service import clock, keys
from service.ledger import Ledger
from tests.serving import callback, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving import Served

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Served]:
    async with serving(redis_url) as served:
        yield served


async def checks(server: Served) -> dict[str, str]:
    answer = await server.client.get("/readyz?verbose")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    return {check["name"]: check["state"] for check in answer.json()["checks"]}


async def test_alive_and_ready(server: Served) -> None:
    for probe in ("/livez", "/readyz"):
        answer = await server.client.get(probe)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("probe", ["/livez", "/readyz"])
async def test_a_head_will_do(server: Served, probe: str) -> None:
    answer = await server.client.send(server.client.build_request("HEAD", probe))
    assert (answer.status_code, answer.content) == (200, b"")


async def test_ready_writes_and_leaves_nothing_for_ever(server: Served, redis_url: str) -> None:
    await server.client.get("/readyz")
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.ttl(keys.PROBE) <= 60


async def test_a_server_that_only_reads_is_not_ready(server: Served, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.replicaof("127.0.0.1", "9")
        try:
            ready = await server.client.get("/readyz")
            assert (ready.status_code, ready.json()["reason"]) == (503, "redis_down")
            assert ready.headers["retry-after"] == "1"
            assert (await server.call_back(callback())).status_code == 503
        finally:
            client.replicaof("NO", "ONE")
    assert (await server.client.get("/readyz")).status_code == 200


async def test_verbose_tells_people_who_is_missing_and_stays_ready(server: Served) -> None:
    assert await checks(server) == {
        "redis": "ok", "work": "warn", "sweep": "warn", "storage": "warn", "age": "ok",
    }  # fmt: skip


async def test_verbose_sees_workers_and_sweepers_beat(server: Served, redis_url: str) -> None:
    ledger = Ledger(redis_url, 8e5)
    for role in ("work", "sweep"):
        await ledger.roles.beat(role, "one")
    assert set((await checks(server)).values()) == {"ok"}
    await ledger.aclose()


async def test_verbose_sees_what_waits_too_long_and_stays_ready(server: Served, redis_url: str) -> None:
    await server.call_back(callback(status="processing"))
    with redis.Redis.from_url(redis_url) as client:
        client.zadd(keys.DUE_POLL, {"wavespeed:pred_1": clock.now() - 60})
    assert (await checks(server))["age"] == "warn"


async def test_the_server_beats_while_it_runs_and_no_longer(redis_url: str) -> None:
    ledger = Ledger(redis_url, 8e5)
    async with serving(redis_url) as server:
        await server.client.get("/readyz")
        (alive,) = await ledger.roles.alive()
        assert alive.role == "serve"
    assert await ledger.roles.alive() == []
    await ledger.aclose()
