"""The guarded session over real sockets: plain, unread, raw, and nowhere but where the guard lets it."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import aiohttp
import pytest
from yarl import URL

from service.embedded import free_port
from tests import origin
from tests.guarded import ANY_HOST, ON_LOOPBACK, answering
from workers.guard import GuardedSession, GuardRefused, session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/", "http://cdn.example.com:{port}/", "ftp://a.com/", "http://a b/"]
)
def test_it_connects_to_nothing_the_guard_forbids(url: str) -> None:
    async def story() -> int:
        lookup = answering("127.0.0.1")
        async with (
            origin.running() as canary,
            GuardedSession(ANY_HOST, connections=2, lookup=lookup) as guarded,
        ):
            with pytest.raises(GuardRefused):
                await guarded.get(url.format(port=canary.port), connect=5)
            return canary.accepted

    assert asyncio.run(story()) == 0


@pytest.mark.parametrize(
    "misread", ["http://127.0.0.2:{port}/", "http://127.0.0.1:80/", "https://127.0.0.1/"]
)
def test_what_aiohttp_reads_otherwise_than_the_guard_is_refused(
    misread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> int:
        async with (
            origin.running() as canary,
            GuardedSession(ON_LOOPBACK, connections=2) as guarded,
        ):
            monkeypatch.setattr(session, "URL", lambda _: URL(misread.format(port=canary.port)))
            with pytest.raises(GuardRefused, match="two ways"):
                await guarded.get(canary.url("/"), connect=5)
            return canary.accepted

    assert asyncio.run(story()) == 0


def test_it_follows_nothing_keeps_no_cookie_and_reuses_its_connection() -> None:
    async def story(guarded: GuardedSession, server: origin.Origin) -> None:
        for _ in range(2):
            async with await guarded.get(server.url("/"), connect=5) as answer:
                assert (answer.status, answer.headers["Location"]) == (302, "/next")
                assert await answer.content.read() == b""

    script = origin.answer(status=302, headers="Location: /next\r\nSet-Cookie: a=b\r\n")
    server = _told(script, story)
    assert (server.accepted, len(server.requests)) == (1, 2)
    assert all("cookie" not in head.lower() for head in server.requests)
    assert all("accept-encoding: identity" in head.lower() for head in server.requests)


def test_a_signed_query_arrives_as_it_was_signed() -> None:
    path = "/a%20b/c%2Fd.png?Signature=a%2Bb%3D&Key=~x&e=%7B1%7D"

    async def story() -> list[str]:
        async with (
            origin.running({path: origin.answer(b"x")}) as server,
            GuardedSession(ON_LOOPBACK, connections=2) as guarded,
            await guarded.get(server.url(path), connect=5),
        ):
            return server.requests

    assert asyncio.run(story())[0].splitlines()[0] == f"GET {path} HTTP/1.1"


def test_an_answer_is_unread_and_raw() -> None:
    body = gzip.compress(b"x" * 1_000_000)

    async def story(guarded: GuardedSession, server: origin.Origin) -> None:
        async with await guarded.get(server.url("/"), connect=5) as answer:
            assert b"".join([part async for part in answer.content.iter_any()]) == body

    _told(origin.answer(body, headers="Content-Encoding: gzip\r\n"), story)


def test_it_waits_only_so_long_for_a_connection() -> None:
    """The kernel of a full listener does not answer."""

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
            for _ in range(8):
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            async with GuardedSession(ON_LOOPBACK, connections=2) as guarded:
                await guarded.get(f"http://127.0.0.1:{full.getsockname()[1]}/", connect=0.1)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(story())
    assert time.monotonic() - began < 2


def test_nobody_there_is_an_error_of_the_connection() -> None:
    async def story() -> None:
        async with GuardedSession(ON_LOOPBACK, connections=2) as guarded:
            await guarded.get(f"http://127.0.0.1:{free_port()}/", connect=5)

    with pytest.raises(aiohttp.ClientConnectorError):
        asyncio.run(story())


def _told(
    script: origin.Script, story: Callable[[GuardedSession, origin.Origin], Awaitable[None]]
) -> origin.Origin:
    async def whole() -> origin.Origin:
        async with (
            origin.running({"/": script}) as server,
            GuardedSession(ON_LOOPBACK, connections=2) as guarded,
        ):
            await story(guarded, server)
            return server

    return asyncio.run(whole())
