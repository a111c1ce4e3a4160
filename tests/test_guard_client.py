"""The guarded client over real sockets: what the guard forbids sees no connection."""

from __future__ import annotations

import asyncio
import ssl
from ipaddress import ip_network
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import origin
from tests.guarded import ANY_HOST, LOOPBACK, ON_LOOPBACK, answering
from workers.guard import Guard, GuardRefused, guarded_client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.guard import Lookup


async def fetch(guard: Guard, url: str, lookup: Lookup | None = None) -> httpx.Response:
    async with guarded_client(guard, connections=2, lookup=lookup) as client:
        return await client.get(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "http://0:{port}/",
        "http://127.0.0.1.:{port}/",
        "http://user@127.0.0.1:{port}/",
        "http://cdn.example.com:{port}/",
    ],
)
def test_a_client_connects_to_nothing_the_guard_forbids(url: str) -> None:
    async def story() -> int:
        async with origin.running() as canary:
            for guard in (
                ANY_HOST,
                Guard(hosts=None),
                Guard(hosts=None, private=(ip_network("10.0.0.0/8"),)),
            ):
                with pytest.raises(GuardRefused):
                    await fetch(guard, url.format(port=canary.port), answering("127.0.0.1"))
            return canary.accepted

    assert asyncio.run(story()) == 0


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%lo"],
    ],
)
def test_one_forbidden_answer_refuses_a_name_and_the_error_arrives_unchanged(answers: list[str]) -> None:
    with pytest.raises(GuardRefused) as refused:
        asyncio.run(fetch(ANY_HOST, "http://cdn.example.com/", answering(*answers)))
    assert refused.value.word == "refused_address"


def test_a_mixed_answer_on_another_port_sees_no_connection() -> None:
    async def story() -> int:
        async with origin.running() as canary:
            with pytest.raises(GuardRefused):
                await fetch(
                    ON_LOOPBACK, f"http://cdn.example.com:{canary.port}/", answering("127.0.0.1", "8.8.8.8")
                )
            return canary.accepted

    assert asyncio.run(story()) == 0


def test_a_name_that_changes_its_address_is_checked_at_every_connection() -> None:
    """And it is looked up once per connection: there is no second answer between check and use."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def lookup(host: str, port: int) -> Sequence[str]:
        return next(answers)

    async def story() -> None:
        scripts = {"/": origin.answer(b"x", headers="Connection: close\r\n")}
        async with (
            origin.running(scripts) as server,
            guarded_client(ON_LOOPBACK, connections=2, lookup=lookup) as client,
        ):
            url = f"http://cdn.example.com:{server.port}/"
            assert (await client.get(url)).content == b"x"
            with pytest.raises(GuardRefused):
                await client.get(url)

    asyncio.run(story())
    assert next(answers, None) is None


@pytest.mark.parametrize("failure", [OSError("no such name"), None])
def test_a_name_without_addresses_is_a_transport_error(failure: OSError | None) -> None:
    async def lookup(host: str, port: int) -> Sequence[str]:
        if failure:
            raise failure
        return []

    with pytest.raises(httpx.TransportError):
        asyncio.run(fetch(ANY_HOST, "http://cdn.example.com/", lookup))


def test_the_system_answers_names() -> None:
    async def story() -> bytes:
        async with origin.running({"/": origin.answer(b"x")}) as server:
            guard = Guard(hosts=("localhost",), private=(*LOOPBACK, ip_network("::1/128")))
            return (await fetch(guard, f"http://localhost:{server.port}/")).content

    assert asyncio.run(story()) == b"x"


def test_a_client_asks_for_identity_keeps_no_cookie_follows_nothing_and_reuses_its_connection() -> None:
    async def story() -> origin.Origin:
        scripts = {"/": origin.answer(status=302, headers="Location: /next\r\nSet-Cookie: a=b\r\n")}
        async with origin.running(scripts) as server, guarded_client(ON_LOOPBACK, connections=2) as client:
            for _ in range(2):
                assert (await client.get(server.url("/"))).status_code == 302
            assert not client.cookies
            return server

    server = asyncio.run(story())
    assert server.accepted == 1
    assert len(server.requests) == 2
    for head in server.requests:
        assert "accept-encoding: identity" in head.lower()
        assert "cookie" not in head.lower()


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> tuple[bytes, int]:
        async with origin.running({"/": origin.answer(b"x")}) as server, origin.running() as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url("/"))
            return (await fetch(ON_LOOPBACK, server.url("/"))).content, proxy.accepted

    assert asyncio.run(story()) == (b"x", 0)


def test_an_https_server_that_cannot_prove_itself_is_a_transport_error() -> None:
    async def story() -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls)
        async with server:
            with pytest.raises(httpx.TransportError):
                await fetch(ON_LOOPBACK, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    asyncio.run(story())
