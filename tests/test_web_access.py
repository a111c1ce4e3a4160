"""Who gets in: a token, or without one a person on this very machine; who guesses must wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from service.web.access import Access
from service.web.problems import Refusal
from tests.serving import callback, serving, sign
from tests.visitors import ADMIN as TOKEN
from tests.visitors import OPERATOR_TOKEN, OWN_PAGE, bearer, session, visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from starlette.types import Scope

    from tests.serving import Served

pytestmark = pytest.mark.anyio

GUARDED = [
    *("/api/v1/predictions", "/api/v1/scaling", "/openapi.json", "/api/v1/deliveries"),
    "/api/v1/refused",
]
FOREIGN_HOSTS = [
    *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "localhost,evil.example"),
    *("user@127.0.0.1", "127.0.0.1@evil.example", "127.0.0.1:80:90", "10.0.0.1", "192.0.2.7:80"),
    *("[", "[::1", "::1", "[::2]", "2130706433", "0x7f.1"),
]
OWN_HOSTS = ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.2:1", "[::1]", "[::1]:8080"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def open_server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server) as served:
        yield served


@pytest.fixture(scope="module")
async def token_server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, admin_token=TOKEN) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty(redis_url: str) -> None:
    """Every test begins with an empty ledger."""


@pytest.mark.parametrize("path", GUARDED)
async def test_without_a_token_it_answers_this_machine(open_server: Served, path: str) -> None:
    assert (await open_server.client.get(path)).status_code == 200


@pytest.mark.parametrize("host", OWN_HOSTS)
async def test_a_host_of_this_machine_is_no_hindrance(open_server: Served, host: str) -> None:
    assert (await open_server.client.get(GUARDED[0], headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_a_foreign_host_is_a_page_that_had_its_name_resolved_to_us(
    open_server: Served, host: str
) -> None:
    answer = await open_server.client.get(GUARDED[0], headers={"host": host})
    assert (answer.status_code, answer.json()["reason"]) == (403, "loopback_only")


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "x-forwarded-proto",
        "X-Real-IP",
        "Via",
        "CF-Connecting-IP",
    ],
)
async def test_what_came_through_a_proxy_did_not_come_from_here(open_server: Served, header: str) -> None:
    answer = await open_server.client.get(GUARDED[0], headers={header: "127.0.0.1"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "loopback_only")


async def test_a_second_host_and_a_proxys_old_http_are_refused_too(open_server: Served) -> None:
    path = GUARDED[0].encode()
    for request in (
        b"GET %b HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET %b HTTP/1.0\r\nHost: localhost\r\n\r\n",
    ):
        assert (await open_server.raw(request % path)).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost.evil.example:8080"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_page_of_another_site_may_not_use_a_persons_browser(
    open_server: Served, headers: dict[str, str]
) -> None:
    answer = await open_server.client.post("/api/v1/predictions/p/track", headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (403, "cross_site")


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://localhost:8080", "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}],
)
async def test_our_own_pages_may(open_server: Served, headers: dict[str, str]) -> None:
    answer = await open_server.client.post("/api/v1/predictions/p/track", headers=headers)
    assert answer.status_code == 202


@pytest.mark.parametrize("peer", ["10.0.0.1", "192.0.2.7", "::ffff:10.0.0.1", "testclient", ""])
async def test_a_peer_on_another_machine_is_refused_without_a_token(peer: str) -> None:
    """The one thing that loopback cannot show on a real socket: the address of another machine."""
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "client": (peer, 5000) if peer else None,
        "headers": [(b"host", b"localhost")],
    }
    for check in (Access(()).check, Access(()).check_entrance):
        with pytest.raises(Refusal) as refused:
            check(scope)
        assert refused.value.answer.reason == "loopback_only"


@pytest.mark.parametrize("path", [GUARDED[0], "/nobody/knows/this"])
@pytest.mark.parametrize(
    "given",
    [
        None, "", TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}", "Bearer \u00fc", f"Bearer x{TOKEN}",
    ],
)  # fmt: skip
async def test_without_the_token_nothing_is_shown(token_server: Served, path: str, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given.encode("latin-1")}
    async with visitor(token_server) as stranger:
        answer = await stranger.get(path, headers=headers)  # type: ignore[arg-type]  # bytes are headers too
    assert (answer.status_code, answer.json()["reason"]) == (401, "token")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_with_the_token_it_answers_from_wherever(token_server: Served, path: str, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {TOKEN}", "x-forwarded-for": "192.0.2.7", "host": "us.example"}
    assert (await token_server.client.get(path, headers=headers)).status_code == 200


async def test_the_token_is_not_taken_from_the_address(token_server: Served) -> None:
    for name in ("token", "access_token", "authorization"):
        answer = await token_server.client.get(GUARDED[0], params={name: TOKEN})
        assert answer.status_code == 401


@pytest.mark.parametrize("headers", [{}, {"x-forwarded-for": "192.0.2.7", "host": "us.example"}])
async def test_callbacks_and_probes_need_neither_token_nor_loopback(
    token_server: Served, open_server: Served, headers: dict[str, Any]
) -> None:
    body = callback()
    for server in (token_server, open_server):
        assert (await server.call_back(body, sign(body) | headers)).status_code == 200
        for probe in ("/livez", "/readyz", "/readyz?verbose"):
            assert (await server.client.get(probe, headers=headers)).status_code == 200


async def wrong(client: httpx.AsyncClient, times: int) -> list[int]:
    """The answers to as many wrong tokens in a row."""
    return [
        (await client.get(GUARDED[0], headers=bearer(f"wrong {number}"))).status_code
        for number in range(times)
    ]


async def let_in(client: httpx.AsyncClient) -> None:
    """Waits until the right token is looked at again."""
    async with asyncio.timeout(10):
        while (answer := await client.get(GUARDED[0], headers=bearer(TOKEN))).status_code == 429:  # noqa: ASYNC110 - another side's clock; a test may poll
            await asyncio.sleep(0.05)
    assert answer.status_code == 200


async def test_after_five_wrong_tokens_an_address_must_wait_whatever_it_brings(redis_url: str) -> None:
    async with serving(redis_url, admin_token=TOKEN) as server, visitor(server) as guesser:
        assert await wrong(guesser, 6) == [401] * 5 + [429]
        for answer in (
            await guesser.get(GUARDED[0], headers=bearer(TOKEN)),
            await guesser.post("/session", json={"token": TOKEN}),
            await guesser.post("/session", data={"token": TOKEN}),
        ):
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        told = (await guesser.get(GUARDED[0], headers=bearer(TOKEN))).json()
        assert told["reason"] == "too_many_attempts"
        await let_in(guesser)
        assert await wrong(guesser, 6) == [401] * 5 + [429]


async def test_wrong_tokens_at_the_form_and_in_the_header_are_counted_together(redis_url: str) -> None:
    async with serving(redis_url, admin_token=TOKEN) as server, visitor(server) as guesser:
        assert await wrong(guesser, 3) == [401] * 3
        for status in (401, 401, 429):
            assert (await guesser.post("/session", data={"token": "x"})).status_code == status


async def test_who_must_wait_keeps_out_neither_others_nor_sessions_callbacks_and_probes(
    redis_url: str,
) -> None:
    async with serving(redis_url, admin_token=TOKEN) as server, visitor(server) as guesser:
        assert await wrong(guesser, 6) == [401] * 5 + [429]
        signed_in = session(OPERATOR_TOKEN) | OWN_PAGE
        assert (await guesser.get(GUARDED[0], headers=signed_in)).status_code == 200
        assert (await guesser.get(GUARDED[0])).status_code == 401
        body = callback()
        assert (
            await guesser.post("/webhooks/wavespeed", content=body, headers=sign(body))
        ).status_code == 200
        for probe in ("/livez", "/readyz", "/sign-in"):
            assert (await guesser.get(probe)).status_code == 200
        assert (await server.client.get(GUARDED[0], headers=bearer(TOKEN))).status_code == 200


async def test_a_crowd_of_guessers_keeps_out_strangers_and_not_who_was_in_before(redis_url: str) -> None:
    async with serving(redis_url, admin_token=TOKEN) as server:
        assert (await server.client.get(GUARDED[0], headers=bearer(TOKEN))).status_code == 200
        for number in range(10):
            async with visitor(server, f"127.9.9.{number + 1}") as guesser:
                assert await wrong(guesser, 5) == [401] * 5
        async with visitor(server, "127.9.9.200") as stranger:
            answer = await stranger.get(GUARDED[0], headers=bearer(TOKEN))
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert (await server.client.get(GUARDED[0], headers=bearer(TOKEN))).status_code == 200


@pytest.mark.parametrize("given", ["Basic dXM6b3VycHJveHk=", "Digest x", "Token y"])
async def test_credentials_of_another_scheme_are_no_attempt_and_no_hindrance(
    token_server: Served, given: str
) -> None:
    """A proxy in front may ask for some of its own."""
    async with visitor(token_server) as client:
        for _ in range(7):
            answer = await client.get(GUARDED[0], headers={"authorization": given})
            assert answer.status_code == 401
        signed_in = session(OPERATOR_TOKEN) | {"authorization": given}
        assert (await client.get(GUARDED[0], headers=signed_in)).status_code == 200
