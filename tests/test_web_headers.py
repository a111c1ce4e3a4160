"""The headers of every answer, whoever makes it: a handler, the receiver, a bug, or the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
import redis
from starlette.responses import HTMLResponse, Response

from service import keys
from service.web.headers import FOR_DATA, FOR_PAGES, Headed
from service.web.server import DeadlineProtocol
from tests.described import bare
from tests.serving import PATH, callback, own_redis, serving, sign, stored
from tests.visitors import ADMIN, OWN_PAGE, TOKENS, bearer, visitor
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import Message, Scope

    from tests.serving import Served

pytestmark = pytest.mark.anyio

HSTS = "strict-transport-security"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, max_body=10_000, body_deadline=0.3, **TOKENS) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty(redis_url: str) -> None:
    """Every test begins with an empty ledger."""


def head(raw: bytes) -> tuple[int, httpx.Headers]:
    """Status and headers of an answer as it came over the socket."""
    status, *lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    pairs = [line.partition(b": ")[::2] for line in lines]
    return int(status.split()[1]), httpx.Headers(pairs)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/livez", {}, 200),
        ("HEAD", "/livez", {}, 200),
        ("GET", "/readyz?verbose", {}, 200),
        ("GET", "/sign-in", {}, 200),
        ("GET", "/", {"accept": "text/html"}, 303),
        ("GET", "/", {}, 401),
        ("GET", "/nobody/knows/this", bearer(ADMIN), 404),
        ("GET", "/api/v1/scaling", bearer(ADMIN), 200),
        ("GET", "/api/v1/predictions/p", bearer(ADMIN), 404),
        ("GET", "/api/v1/predictions?limit=x", bearer(ADMIN), 400),
        ("DELETE", "/api/v1/predictions", bearer(ADMIN), 405),
        ("POST", "/api/v1/predictions/p/track", bearer(ADMIN), 202),
        ("POST", "/api/v1/predictions", bearer(ADMIN), 422),
        ("DELETE", "/session", OWN_PAGE, 204),
        ("GET", PATH, {}, 405),
        ("POST", PATH, {}, 401),
        ("POST", PATH, {"content-encoding": "gzip"}, 415),
        ("POST", "/webhooks/nobody", {}, 404),
    ],
)
async def test_an_answer_has_them(
    server: Served, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with visitor(server) as client:
        answer = await client.request(method, path, headers=headers)
    assert answer.status_code == status
    assert list(bare(answer.headers)) == []
    assert HSTS not in answer.headers


async def test_a_callback_has_them(server: Served) -> None:
    body = callback()
    for headers, status in ((sign(body), 200), (sign(body, 1_000_000_000), 202)):
        answer = await server.call_back(body, headers)
        assert answer.status_code == status
        assert list(bare(answer.headers)) == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n" % PATH.encode(), 413),
        (b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{" % PATH.encode(), 408),
        (b"GET / HTTP/1.1\r\nHost: x\r\na : b\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
async def test_so_has_the_answer_to_a_request_that_ends_its_connection(
    server: Served, request_: bytes, status: int
) -> None:
    answered, headers = head(await server.raw(request_))
    assert answered == status
    assert list(bare(headers)) == []
    assert headers["content-type"] == "application/problem+json"


async def test_so_has_a_fault_of_ours(server: Served, redis_url: str) -> None:
    await server.call_back(callback())
    assert stored(redis_url, "pred_1")
    with redis.Redis.from_url(redis_url) as client:
        client.lpush(f"{keys.TIMELINE}wavespeed:pred_1", "no json at all")
    answer = await server.client.send(
        server.client.build_request("GET", "/api/v1/predictions/pred_1", headers=bearer(ADMIN))
    )
    assert answer.status_code == 500
    assert list(bare(answer.headers)) == []


async def test_so_has_what_is_answered_without_redis(tmp_path: Path) -> None:
    with own_redis(tmp_path) as own:
        async with serving(own.url, **TOKENS) as server:
            own.kill()
            wait_until(lambda: own.process.poll() is not None)
            body = callback()
            for answer in (
                await server.call_back(body),
                await server.client.get("/readyz"),
                await server.client.get("/api/v1/scaling", headers=bearer(ADMIN)),
            ):
                assert answer.status_code == 503
                assert list(bare(answer.headers)) == []


@pytest.mark.parametrize(
    ("public_url", "insists"),
    [("https://us.example", True), ("https://us.example/base", True), ("http://us.example", False)],
)
async def test_https_is_insisted_on_only_where_our_address_is_https(
    redis_url: str, public_url: str, insists: bool
) -> None:
    async with serving(redis_url, public_url=public_url) as server:
        body = callback()
        for answer in (await server.call_back(body), await server.client.get("/sign-in")):
            assert answer.headers.get_list(HSTS) == (["max-age=31536000"] if insists else [])


async def completed(answer: Response) -> httpx.Headers:
    """The headers of an answer of ours after the middleware."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope: Scope = {"type": "http", "method": "GET", "headers": []}
    await Headed(answer, https=True)(scope, receive, send)
    return httpx.Headers(sent[0]["headers"])


async def test_an_answers_own_header_stays_and_is_the_only_one() -> None:
    own = {"Cache-Control": "max-age=60", "Content-Security-Policy": "sandbox"}
    for answer in (Response("x", headers=own), HTMLResponse("x", headers=own)):
        headers = await completed(answer)
        for name, value in own.items():
            assert headers.get_list(name) == [value]
        assert headers.get_list("x-content-type-options") == ["nosniff"]
        assert headers.get_list(HSTS) == ["max-age=31536000"]


async def test_an_answer_that_is_sent_twice_does_not_gather_them() -> None:
    answer = Response("x")
    assert await completed(answer) == await completed(answer)


def test_nothing_is_allowed_that_stands_in_the_page_itself_or_elsewhere() -> None:
    for policy in (dict(FOR_DATA), dict(FOR_PAGES)):
        text = policy[b"content-security-policy"].decode()
        sources = {source for directive in text.split("; ") for source in directive.split()[1:]}
        assert sources <= {"'none'", "'self'"}
        assert "default-src 'none'" in text
        assert "frame-ancestors 'none'" in text


async def test_the_protocols_own_refusal_says_what_it_is(redis_url: str) -> None:
    async with serving(redis_url, protocol=DeadlineProtocol) as server:
        raw = await server.raw(b"nonsense\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    status, headers = head(raw)
    body = raw.partition(b"\r\n\r\n")[2]
    assert (status, int(headers["content-length"])) == (400, len(body))
    assert b'"reason":"not_http"' in body
