"""Callbacks that are turned away: each is counted and kept with its facts, and nothing of its content is."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from service import clock
from service.refusals import RefusedFor
from service.web import turned_away
from tests.refused import FORGED, GOOD, counted, listed, raw
from tests.serving import PATH, SECRET, callback, own_redis, serving, sign

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.serving import OwnRedis, Served

pytestmark = pytest.mark.anyio

MOST = 2000


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Served]:
    async with serving(redis_url, max_body=MOST, body_deadline=0.3) as served:
        yield served


async def hang_up(server: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(raw(sign(GOOD), GOOD[:12], len(GOOD)))
    await writer.drain()
    writer.close()


CASES: dict[RefusedFor, tuple[Callable[[Served], Awaitable[object]], str, int | None]] = {
    RefusedFor.UNKNOWN_SOURCE: (
        lambda server: server.client.post("/webhooks/nobody", content=GOOD),
        "there is no such source",
        len(GOOD),
    ),
    RefusedFor.METHOD: (lambda server: server.client.get(PATH), "callbacks are POSTs", None),
    RefusedFor.ENCODING: (
        lambda server: server.call_back(GOOD, sign(GOOD) | {"content-encoding": "gzip"}),
        "send the body as it is",
        len(GOOD),
    ),
    RefusedFor.TOO_LARGE: (
        lambda server: server.call_back(b"x" * 9000),
        f"a body has at most {MOST} bytes",
        9000,
    ),
    RefusedFor.TOO_SLOW: (
        lambda server: server.raw(raw(sign(GOOD), GOOD[:7], len(GOOD))),
        "a body has 0.3 seconds",
        7,
    ),
    RefusedFor.GONE: (hang_up, "the sender hung up", 12),
    RefusedFor.SIGNATURE: (
        lambda server: server.call_back(GOOD, FORGED),
        "no signature matches",
        len(GOOD),
    ),
    RefusedFor.UNPARSEABLE: (
        lambda server: server.call_back(b"no json"),
        "not JSON: Expecting value at character 0",
        7,
    ),
}
UNSIGNED = {RefusedFor.UNKNOWN_SOURCE, RefusedFor.METHOD}


@pytest.mark.parametrize("reason", RefusedFor)
async def test_each_reason_is_counted_and_kept_with_its_facts(server: Served, reason: RefusedFor) -> None:
    provoke, why, size = CASES[reason]
    began = time.time()
    await provoke(server)
    await counted(server, **{reason: 1})
    (kept,) = (await listed(server))["items"]
    at = clock.parse_rfc3339(kept.pop("at")) or 0.0
    assert began - 0.01 <= at <= time.time()
    assert kept == {
        "source": "nobody" if reason is RefusedFor.UNKNOWN_SOURCE else "wavespeed",
        "reason": reason,
        "why": why,
        "address": "127.0.0.1",
        "bytes": size,
        "webhook_id": None if reason in UNSIGNED else "msg_1",
    }


async def test_of_a_body_that_comes_in_chunks_what_had_come_is_told(server: Served) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1000

    await server.client.post(PATH, content=pieces(), headers=sign(GOOD))
    await counted(server, too_large=1)
    (kept,) = (await listed(server))["items"]
    assert MOST < kept["bytes"] <= 3000


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "webhook-id is missing"),
        (FORGED | {"webhook-id": "x" * 257}, "webhook-id is malformed"),
        (FORGED | {"webhook-id": "two words"}, "webhook-id is malformed"),
    ],
)
async def test_a_webhook_id_that_is_none_is_not_kept(
    server: Served, headers: dict[str, str], why: str
) -> None:
    await server.call_back(GOOD, headers)
    await counted(server, signature=1)
    (kept,) = (await listed(server))["items"]
    assert (kept["why"], kept["webhook_id"]) == (why, None)


async def test_what_is_taken_is_not_among_the_refused(server: Served) -> None:
    assert (await server.call_back(GOOD)).status_code == 200
    assert (await server.call_back(GOOD)).status_code == 200
    assert (await server.call_back(GOOD, sign(GOOD, at=1_700_000_000))).status_code == 202
    await server.call_back(GOOD, FORGED)
    await counted(server, signature=1)


async def test_the_api_refusing_a_body_of_its_own_is_no_refused_callback(server: Served) -> None:
    track = "/api/v1/predictions/p/track"
    assert (await server.client.post(track, content=b" " * 9000)).status_code == 413
    await server.call_back(GOOD, FORGED)
    await counted(server, signature=1)


@pytest.mark.parametrize("word", ["%0D%1B%5B2J", "%00", "%E2%80%AE", "a/b/c", "x" * 5000, "", "*", "'\"<b>"])
async def test_whatever_a_stranger_calls_the_source_is_kept_short_and_printable(
    server: Served, word: str
) -> None:
    assert (await server.client.post(f"/webhooks/{word}", content=b"")).status_code == 404
    await counted(server, unknown_source=1)
    (kept,) = (await listed(server))["items"]
    assert kept["source"].isprintable()
    assert len(kept["source"]) <= 64


async def test_nothing_of_body_signature_query_or_secret_reaches_the_disk(own: OwnRedis) -> None:
    """The append-only file has every byte that Redis was ever given."""
    body = callback("canary-id", prompt="canary-in-the-body")
    odd = {"authorization": "Bearer canary-bearer", "cookie": "canary-cookie"}
    sent = sign(body, secret="canary-other-secret") | odd
    broken = b'{"canary-of-no-json": tru}'
    async with serving(own.url, max_body=MOST) as server:
        query = {"token": "canary-query"}
        for headers in (sent, sent | {"webhook-signature": "v3,canary-shape"}, odd):
            await server.client.post(PATH, content=body, headers=headers, params=query)
        await server.client.post(PATH, content=broken, headers=sign(broken) | odd, params=query)
        await server.client.post("/webhooks/nobody", content=body, headers=sent, params=query)
        await server.client.post(PATH, content=b"canary-long" * MOST, headers=sent, params=query)
        await server.call_back(body, sign(body) | {"content-encoding": "canary-zip"})
        await counted(server, signature=3, unparseable=1, unknown_source=1, too_large=1, encoding=1)
    written = b"".join(file.read_bytes() for file in own.files.rglob("*.aof"))
    assert b"no signature matches" in written
    assert b"canary" not in written
    for secret in (SECRET.removeprefix("whsec_"), sent["webhook-signature"].removeprefix("v3,")):
        assert secret.encode() not in written


async def test_a_list_is_newest_first_and_has_50_items_unless_told(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turned_away, "SAMPLE", 100)
    for number in range(60):
        await server.client.post(f"/webhooks/n{number}", content=b"")
    await counted(server, unknown_source=60)
    first = await listed(server)
    rest = await listed(server, cursor=first["next"])
    sources = [one["source"] for one in first["items"] + rest["items"]]
    assert (len(first["items"]), sources) == (50, [f"n{number}" for number in reversed(range(60))])
    assert rest["next"] is None
