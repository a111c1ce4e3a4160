"""A submit costs money: what it sends, what its answer means, and that it is never made twice."""

from __future__ import annotations

import gzip
import json
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service import errors
from service.prediction import Verdict
from service.wavespeed import Client, open_http
from tests.wire import DONE, KEY, MODEL, answer, envelope, only_request, raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_httpserver import HTTPServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with open_http() as http:
        http.timeout = httpx.Timeout(2, connect=1)
        yield http


@pytest.fixture
def provider(httpserver: HTTPServer, http: httpx.AsyncClient) -> Client:
    return Client(httpserver.url_for("/api/v3/"), KEY, http)


async def test_a_submit_sends_inputs_callback_and_key_and_reads_the_id(
    httpserver: HTTPServer, provider: Client
) -> None:
    created = {**DONE, "status": "created", "outputs": [], "has_nsfw_contents": []}
    httpserver.expect_request(f"/api/v3/{MODEL}", method="POST").respond_with_json(envelope(created))
    hook = "https://us.example/webhooks/wavespeed?a=1&b=ü"
    found = await provider.submit(MODEL, {"prompt": "Ritter, 騎士", "seed": -1}, hook)
    sent = only_request(httpserver)
    assert (found.id, found.verdict) == ("pred_123", Verdict.PENDING)
    assert sent.json == {"prompt": "Ritter, 騎士", "seed": -1}
    assert sent.args.to_dict(flat=False) == {"webhook": [hook]}
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["accept-encoding"] == "identity"


async def test_without_callback_and_key_neither_is_mentioned(
    httpserver: HTTPServer, http: httpx.AsyncClient
) -> None:
    httpserver.expect_request("/api/v3/vendor/model").respond_with_json(envelope(DONE))
    await Client(httpserver.url_for("/api/v3"), None, http).submit("vendor/model", {}, None)
    sent = only_request(httpserver)
    assert (sent.query_string, sent.data) == (b"", b"{}")
    assert "authorization" not in sent.headers


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        ((400, '{"code":400,"message":"prompt is required"}'), 400, "prompt is required"),
        ((400, '{"error":"webhook callback does not support base64 output"}'), 400, "base64"),
        ((401, '{"code":401,"message":"invalid key wsk-very-secret"}'), 401, r"invalid key \*\*\*$"),
        ((402, '{"code":402,"message":"insufficient balance"}'), 402, "insufficient"),
        ((403, "<html>Forbidden</html>"), 403, "403 without JSON"),
        ((429, '{"code":429,"message":"concurrency limit"}'), 429, "concurrency limit"),
        ((429, "slow down"), 429, "429 without JSON"),
        ((200, '{"code":400,"message":"bad\\nsize","data":null}'), 400, "400: bad size$"),
        ((200, '{"code":"1401","message":"bad seed"}'), 1401, "bad seed"),
        ((200, '{"code":429,"message":""}'), 429, "no message"),
        ((200, '{"error":"no such model"}'), 200, "no such model"),
        ((307, ""), 307, "307"),
    ],
)
async def test_a_clear_no_to_a_submit_is_a_refusal(
    httpserver: HTTPServer, provider: Client, sent: tuple[int, str], code: int, said: str
) -> None:
    status, body = sent
    httpserver.expect_request(f"/api/v3/{MODEL}").respond_with_data(body, status)
    with pytest.raises(errors.ProviderRefused, match=said) as caught:
        await provider.submit(MODEL, {}, None)
    assert caught.value.status == code
    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, '{"code":500,"message":"internal"}'),
        (502, "<html>Bad gateway</html>"),
        (504, ""),
        (408, "timeout"),
        (200, "<html>welcome</html>"),
        (200, ""),
        (200, "[]"),
        (200, "null"),
        (200, '{"code":200,"data":{"id":"pred_123","id":"pred_124","status":"created"}}'),
        (200, '{"code":200,"message":"success","data":null}'),
        (200, '{"code":200,"data":{"id":"../x","status":"created"}}'),
        (200, '{"code":5003,"message":"unavailable"}'),
    ],
)
async def test_a_submit_without_a_clear_answer_is_unknown_and_not_repeated(
    httpserver: HTTPServer, provider: Client, status: int, body: str
) -> None:
    httpserver.expect_request(f"/api/v3/{MODEL}").respond_with_data(body, status)
    with pytest.raises(errors.SubmitUnknown):
        await provider.submit(MODEL, {}, None)
    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n{}",
        answer(gzip.compress(json.dumps(envelope(DONE)).encode()), "Content-Encoding: gzip\r\n"),
    ],
    ids=["closed", "no-http", "cut", "bad-chunk", "endless-header", "compressed"],
)
async def test_a_connection_that_breaks_after_the_request_leaves_the_submit_unknown(
    http: httpx.AsyncClient, reply: bytes
) -> None:
    """The transport calls some of these a ConnectTimeout, which would invite a second, billed POST."""
    async with raw(reply) as server:
        with pytest.raises(errors.SubmitUnknown):
            await Client(server.url, KEY, http).submit(MODEL, {}, None)
        assert server.requests == 1


async def test_a_kept_connection_that_closes_under_a_submit_leaves_it_unknown(
    http: httpx.AsyncClient,
) -> None:
    async with raw(answer(json.dumps(envelope(DONE)).encode()), b"") as server:
        provider = Client(server.url, KEY, http)
        await provider.submit(MODEL, {}, None)
        with pytest.raises(errors.SubmitUnknown):
            await provider.submit(MODEL, {}, None)
        assert server.requests == 2


async def test_silence_after_a_submit_leaves_it_unknown(http: httpx.AsyncClient) -> None:
    http.timeout = httpx.Timeout(0.1)
    async with raw(b"HTTP/1.1 ", pause=5) as server:
        with pytest.raises(errors.SubmitUnknown):
            await Client(server.url, KEY, http).submit(MODEL, {}, None)
        assert server.requests == 1


async def test_a_refused_connection_sent_nothing_so_a_submit_may_be_tried_later(
    http: httpx.AsyncClient,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(errors.ProviderDown):
        await Client(f"http://127.0.0.1:{port}", KEY, http).submit(MODEL, {}, None)


async def test_a_connection_that_is_never_taken_sent_nothing(http: httpx.AsyncClient) -> None:
    http.timeout = httpx.Timeout(2, connect=0.2)
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        with pytest.raises(errors.ProviderDown):
            await Client(f"http://127.0.0.1:{full.getsockname()[1]}", KEY, http).submit(MODEL, {}, None)


async def test_a_failed_tls_handshake_sent_nothing(httpserver: HTTPServer, http: httpx.AsyncClient) -> None:
    url = httpserver.url_for("/api/v3").replace("http:", "https:")
    with pytest.raises(errors.ProviderDown):
        await Client(url, KEY, http).submit(MODEL, {}, None)
    assert httpserver.log == []


@pytest.mark.parametrize(
    "inputs", [{"seed": float("nan")}, {"image": b"raw"}, {"prompt": "\ud800"}, {"a": {1, 2}}]
)
async def test_inputs_that_are_no_json_are_never_sent(
    httpserver: HTTPServer, provider: Client, inputs: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidInput):
        await provider.submit(MODEL, inputs, None)
    assert httpserver.log == []


@pytest.mark.parametrize("model", ["../balance", "predictions/delete", "a?b", "https://evil.example/x", ""])
async def test_a_model_cannot_lead_a_post_elsewhere(
    httpserver: HTTPServer, provider: Client, model: str
) -> None:
    with pytest.raises(errors.InvalidInput, match="model"):
        await provider.submit(model, {"ids": ["pred_123"]}, None)
    assert httpserver.log == []
