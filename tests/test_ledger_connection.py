from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest
import redis
from redis import exceptions as redis_errors

from service import clock, embedded, keys
from service.errors import ConfigError, LedgerDown, LedgerFull
from service.ledger import Ledger, connect, reaching
from service.ledger.query import Query
from tests.builders import RETENTION, Clock, accept, callback, completed, ref, stage_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def closed() -> AsyncIterator[int]:
    yield embedded.free_port()


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@asynccontextmanager
async def hanging_up() -> AsyncIterator[int]:
    """Takes connections and ends them in the middle of the handshake."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


CALLS: dict[str, Callable[[Ledger], Awaitable[object]]] = {
    "accept": lambda ledger: accept(ledger, callback(completed())),
    "lease": lambda ledger: ledger.predictions.lease(ref(), 12, "w1"),
    "counts": lambda ledger: ledger.reading.counts(),
    "page": lambda ledger: ledger.reading.page(Query(), 50, None),
}


@pytest.mark.parametrize("away", [closed, silent, hanging_up])
@pytest.mark.parametrize("call", CALLS)
async def test_redis_away_is_ledger_down_within_two_seconds(
    away: Callable[[], AbstractAsyncContextManager[int]], call: str
) -> None:
    async with away() as port:
        ledger = Ledger(embedded.url(port), RETENTION)
        began = time.monotonic()
        with pytest.raises(LedgerDown) as down:
            await CALLS[call](ledger)
        assert time.monotonic() - began < 2
        assert down.value.retry_after
        await ledger.aclose()


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Ledger]:
    """On a server of this test's own."""
    with embedded.running(tmp_path) as url:
        ledger = Ledger(url, RETENTION, virtual_now=Clock())
        yield ledger
        await ledger.aclose()


async def test_a_full_redis_refuses_a_batch_and_takes_it_when_freed(own: Ledger) -> None:
    await own.redis.config_set("maxmemory", "1")
    with pytest.raises(LedgerFull):
        await accept(own, callback(completed("p1")), callback(completed("p2")))
    with reaching_down():
        await own.redis.set("x", "y")
    assert await own.redis.dbsize() == 0, "nothing is half written"
    await own.redis.config_set("maxmemory", "0")
    assert await accept(own, callback(completed("p1"))) == ["new"]


@contextmanager
def reaching_down() -> Iterator[None]:
    with pytest.raises(LedgerDown), reaching():
        yield


@pytest.mark.parametrize(
    "error",
    [
        redis_errors.ConnectionError("Connection refused"),
        redis_errors.TimeoutError("Timeout reading"),
        redis_errors.BusyLoadingError("loading"),
        redis_errors.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        redis_errors.ReadOnlyError("You can't write against a read only replica."),
        redis_errors.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
        redis_errors.ResponseError("BUSY a script is running"),
        redis_errors.ResponseError("user_script:1: OOM command not allowed script: 4f"),
    ],
    ids=repr,
)
def test_whatever_keeps_redis_from_taking_it_is_ledger_down(error: Exception) -> None:
    with reaching_down():
        raise error


@pytest.mark.parametrize(
    "error", [redis_errors.ResponseError("WRONGTYPE"), ValueError("ours"), TimeoutError()]
)
def test_a_bug_stays_a_bug(error: Exception) -> None:
    with pytest.raises(type(error)), reaching():
        raise error


async def test_a_server_that_restarted_is_found_again_with_all_that_was_acknowledged(tmp_path: Path) -> None:
    with embedded.running(tmp_path) as url:
        ledger = Ledger(url, RETENTION, virtual_now=Clock())
        await accept(ledger, callback(completed()))
        await ledger.aclose()
    with embedded.running(tmp_path) as url:
        ledger = Ledger(url, RETENTION, virtual_now=Clock())
        assert await stage_of(ledger) == "accepted"
        assert await accept(ledger, callback(completed())) == ["known"]
        with redis.Redis.from_url(url) as other:
            other.client_kill_filter(_type="normal", skipme=True)
        assert await accept(ledger, callback(completed())) == ["known"], "a cut connection is made anew"
        await ledger.aclose()


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "redis://host:port/0"])
def test_an_address_that_is_none_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="REDIS_URL"):
        connect(url)


async def test_the_embedded_server_is_as_durable_as_is_promised(own: Ledger) -> None:
    for name, wanted in {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
    }.items():
        assert (await own.redis.config_get(name))[name] == wanted
    assert (await own.redis.config_get("bind"))["bind"] == "127.0.0.1"


def test_a_server_that_never_starts_is_a_configuration_error_that_names_its_log() -> None:
    with pytest.raises(ConfigError, match=r"valkey\.log"):
        embedded.wait_ready(embedded.free_port(), timeout=0.1)


async def test_every_role_beats_until_it_leaves(ledger: Ledger) -> None:
    for role, instance in (("work", "w1"), ("serve", "s1"), ("work", "w2")):
        await ledger.roles.beat(role, instance)
    assert [(one.role, one.instance) for one in await ledger.roles.alive()] == [
        ("serve", "s1"),
        ("work", "w1"),
        ("work", "w2"),
    ]
    assert 0 < await ledger.redis.ttl(keys.ROLE + "work:w1") <= 15
    await ledger.roles.leave("work", "w1")
    assert [one.instance for one in await ledger.roles.alive()] == ["s1", "w2"]


async def test_a_killed_role_is_not_alive_and_its_name_is_forgotten(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now - 2 * 86_400)
    await ledger.roles.beat("work", "killed")
    await ledger.redis.delete(keys.ROLE + "work:killed")
    assert await ledger.roles.alive() == []
    monkeypatch.setattr(clock, "now", lambda: now)
    await ledger.roles.beat("work", "living")
    assert await ledger.redis.zrange(keys.ROLES, 0, -1) == ["work:living"]


async def test_who_is_alive_is_found_without_a_look_at_all_keys(ledger: Ledger) -> None:
    async def looks() -> int:
        stats = await ledger.redis.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("scan", "keys"))

    await ledger.roles.beat("work", "w1")
    before = await looks()
    assert len(await ledger.roles.alive()) == 1
    assert await looks() == before
