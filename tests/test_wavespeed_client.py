"""Calls that may be repeated, against real listeners: what is sent, and what each answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service import errors
from service.prediction import Nsfw, Reason, Verdict
from service.wavespeed import Client, client, open_http
from tests.wire import DONE, KEY, MODEL, envelope, only_request, raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_httpserver import HTTPServer

pytestmark = pytest.mark.anyio

RESULT = "/api/v3/predictions/pred_123/result"


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


@pytest.mark.parametrize("body", [DONE, envelope(DONE), {**envelope(DONE), "code": "200"}, {"data": DONE}])
async def test_a_result_is_read_with_and_without_its_envelope(
    httpserver: HTTPServer, provider: Client, body: dict[str, Any]
) -> None:
    httpserver.expect_request(RESULT, method="GET").respond_with_json(body)
    found = await provider.result("pred_123")
    assert found is not None
    assert (found.verdict, found.nsfw, found.payload) == (Verdict.COMPLETED, (Nsfw.CLEAN,), DONE)
    assert only_request(httpserver).headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("wrapped", [True, False])
async def test_the_code_of_a_failed_prediction_is_not_an_error_of_the_call(
    httpserver: HTTPServer, provider: Client, wrapped: bool
) -> None:
    failed = {**DONE, "status": "failed", "outputs": [], "code": 1200, "error": "blocked"}
    httpserver.expect_request(RESULT).respond_with_json(envelope(failed) if wrapped else failed)
    found = await provider.result("pred_123")
    assert found is not None
    assert (found.reason, found.error) == (Reason.MODERATION, "blocked")


@pytest.mark.parametrize(
    ("status", "body"), [(404, '{"code":404,"message":"not found"}'), (404, "gone"), (200, '{"code":404}')]
)
async def test_an_id_that_the_provider_does_not_know_is_none(
    httpserver: HTTPServer, provider: Client, status: int, body: str
) -> None:
    httpserver.expect_request(RESULT).respond_with_data(body, status)
    assert await provider.result("pred_123") is None


@pytest.mark.parametrize("id_", ["", "..", "a/b", "pred_123?x", "pred_123\n", "a" * 129])
async def test_an_id_cannot_lead_a_get_elsewhere(httpserver: HTTPServer, provider: Client, id_: str) -> None:
    with pytest.raises(errors.InvalidInput):
        await provider.result(id_)
    assert httpserver.log == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, '{"code":500,"message":"internal"}'),
        (502, "<html>"),
        (503, ""),
        (408, ""),
        (429, '{"code":429,"message":"slow down"}'),
        (200, '{"code":429,"message":"slow down"}'),
        (200, '{"code":5000,"message":"internal"}'),
        (200, "<html>"),
        (200, "[]"),
    ],
)
async def test_an_answer_that_may_be_better_later(
    httpserver: HTTPServer, provider: Client, status: int, body: str
) -> None:
    httpserver.expect_request(RESULT).respond_with_data(body, status)
    with pytest.raises(errors.ProviderDown) as caught:
        await provider.result("pred_123")
    assert caught.value.retry_after is None
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("data", [None, {}, {**DONE, "status": 7}, {**DONE, "id": "pred_another"}])
async def test_a_sound_answer_without_this_prediction_is_its_own_trouble_alone(
    httpserver: HTTPServer, provider: Client, data: object
) -> None:
    """Not ProviderDown, which would hold up the polls of all others."""
    httpserver.expect_request(RESULT).respond_with_json(envelope(data))
    with pytest.raises(errors.Unparseable):
        await provider.result("pred_123")


@pytest.mark.parametrize(
    ("status", "body"), [(401, "<html>"), (403, '{"error":"no"}'), (200, '{"code":401}')]
)
async def test_an_answer_that_will_not_change(
    httpserver: HTTPServer, provider: Client, status: int, body: str
) -> None:
    httpserver.expect_request(RESULT).respond_with_data(body, status)
    with pytest.raises(errors.ProviderRefused):
        await provider.result("pred_123")


@pytest.mark.parametrize("status", [429, 503])
async def test_the_providers_retry_after_is_handed_on(
    httpserver: HTTPServer, provider: Client, status: int
) -> None:
    httpserver.expect_request(RESULT).respond_with_data("", status, headers={"Retry-After": "17"})
    with pytest.raises(errors.ProviderDown) as caught:
        await provider.result("pred_123")
    assert caught.value.retry_after == 17


@pytest.mark.parametrize(
    "reply", [b"", b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
async def test_a_broken_connection_is_tried_later(http: httpx.AsyncClient, reply: bytes) -> None:
    async with raw(reply) as server:
        with pytest.raises(errors.ProviderDown):
            await Client(server.url, KEY, http).result("pred_123")


async def test_an_endless_answer_is_cut(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_MAX_ANSWER", 100_000)
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b" " * 1_000_000
    async with raw(endless, pause=5) as server:
        with pytest.raises(errors.ProviderDown, match="without JSON"):
            await Client(server.url, KEY, http).result("pred_123")


async def test_a_dripping_answer_ends_at_the_deadline(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_DEADLINE", 0.3)
    async with raw(b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 500, pause=0.01) as server:
        http.timeout = httpx.Timeout(30)
        with pytest.raises(errors.ProviderDown):
            await Client(server.url, KEY, http).result("pred_123")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(httpserver: HTTPServer, provider: Client, status: int) -> None:
    elsewhere = httpserver.url_for("/elsewhere")
    httpserver.expect_request(RESULT).respond_with_data("", status, headers={"Location": elsewhere})
    with pytest.raises(errors.ProviderRefused):
        await provider.result("pred_123")
    assert only_request(httpserver).path == RESULT


async def test_proxies_of_the_environment_are_ignored(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    httpserver.expect_request("/balance").respond_with_json(envelope({"balance": 1}))
    async with open_http() as http:
        assert await Client(httpserver.url_for(""), KEY, http).balance() == 1


async def test_no_error_quotes_the_key_or_the_callback_url(http: httpx.AsyncClient) -> None:
    async with raw(b"") as server:
        with pytest.raises(errors.SubmitUnknown) as caught:
            await Client(server.url, KEY, http).submit(MODEL, {}, "https://us.example/?token=hush")
    assert not any(secret in str(caught.value) for secret in (KEY, "hush", "http"))


async def test_a_list_asks_for_one_page_and_only_for_what_was_given(
    httpserver: HTTPServer, provider: Client
) -> None:
    httpserver.expect_request("/api/v3/predictions", method="POST").respond_with_json(envelope({"items": []}))
    assert await provider.listed(1) == []
    await provider.listed(
        3, 20, status="completed", model=MODEL, created_after=1_700_000_000, created_before=1_700_000_060.5
    )
    assert [request.json for request, _ in httpserver.log] == [
        {"page": 1, "page_size": 100},
        {
            "page": 3,
            "page_size": 20,
            "status": "completed",
            "model": MODEL,
            "created_after": "2023-11-14T22:13:20.000Z",
            "created_before": "2023-11-14T22:14:20.500Z",
        },
    ]


LISTED = {name: value for name, value in DONE.items() if name != "has_nsfw_contents"}


async def test_a_listed_completion_is_never_clean_and_unreadable_items_are_left_out(
    httpserver: HTTPServer, provider: Client
) -> None:
    items = [LISTED, None, "text", {"id": 7, "status": "completed"}, {**LISTED, "id": "pred_124"}]
    httpserver.expect_request("/api/v3/predictions").respond_with_json(envelope({"page": 1, "items": items}))
    found = await provider.listed(1)
    assert [(report.id, report.nsfw) for report in found] == [
        ("pred_123", (Nsfw.UNKNOWN,)),
        ("pred_124", (Nsfw.UNKNOWN,)),
    ]


async def test_an_odd_input_in_one_item_does_not_hide_the_page(
    httpserver: HTTPServer, provider: Client
) -> None:
    """Deeper and larger than a callback may be: someone else's submit must not blind the reconcile."""
    deep: Any = 0
    for _ in range(50):
        deep = [deep]
    items = [LISTED, {**LISTED, "id": "pred_124", "input": {"mask": deep, "points": [0] * 250_000}}]
    httpserver.expect_request("/api/v3/predictions").respond_with_json(envelope({"items": items}))
    assert len(await provider.listed(1)) == 2


@pytest.mark.parametrize(
    ("body", "count"),
    [({"items": None}, 0), ({}, 0), (None, 0), ([], 0), ([LISTED], 1), ({"items": [LISTED]}, 1)],
)
async def test_lists_come_in_more_than_one_shape(
    httpserver: HTTPServer, provider: Client, body: object, count: int
) -> None:
    httpserver.expect_request("/api/v3/predictions").respond_with_json(envelope(body))
    assert len(await provider.listed(1)) == count


@pytest.mark.parametrize("body", ["text", 7, {"items": "text"}, {"items": {"a": 1}}])
async def test_a_list_that_is_none_is_not_taken_for_an_empty_one(
    httpserver: HTTPServer, provider: Client, body: object
) -> None:
    httpserver.expect_request("/api/v3/predictions").respond_with_json(envelope(body))
    with pytest.raises(errors.ProviderDown):
        await provider.listed(1)


@pytest.mark.parametrize(
    "body", [envelope({"secret": "whsec_x"}), {"secret": "whsec_x"}, {"data": "whsec_x"}]
)
async def test_the_webhook_secret_comes_in_three_shapes(
    httpserver: HTTPServer, provider: Client, body: object
) -> None:
    httpserver.expect_request("/api/v3/webhook/secret", method="GET").respond_with_json(body)
    assert await provider.secret() == "whsec_x"


@pytest.mark.parametrize("body", [{}, envelope(None), envelope({"secret": ""}), envelope({"secret": 7})])
async def test_a_secret_that_is_none_is_not_handed_out(
    httpserver: HTTPServer, provider: Client, body: object
) -> None:
    httpserver.expect_request("/api/v3/webhook/secret").respond_with_json(body)
    with pytest.raises(errors.ProviderDown):
        await provider.secret()


@pytest.mark.parametrize(("data", "amount"), [({"balance": 12.5}, 12.5), ({"balance": "3"}, 3.0), (0, 0.0)])
async def test_the_balance_is_a_number(
    httpserver: HTTPServer, provider: Client, data: object, amount: float
) -> None:
    httpserver.expect_request("/api/v3/balance", method="GET").respond_with_json(envelope(data))
    assert await provider.balance() == amount


@pytest.mark.parametrize(
    "data", [None, {}, {"balance": None}, {"balance": True}, {"balance": "nan"}, [1], "many"]
)
async def test_a_balance_that_is_no_number_is_not_guessed(
    httpserver: HTTPServer, provider: Client, data: object
) -> None:
    httpserver.expect_request("/api/v3/balance").respond_with_json(envelope(data))
    with pytest.raises(errors.ProviderDown):
        await provider.balance()
