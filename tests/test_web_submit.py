"""`POST /api/v1/predictions`: one POST at the provider, ever, and an answer that says what became of it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from service.simulator.run import running
from service.simulator.simulator import Simulator, SimulatorConfig
from tests import origin
from tests.serving import callback, polled_at, serving, stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from pytest_httpserver import HTTPServer

    from tests.serving import Served

pytestmark = pytest.mark.anyio

CHARACTER = "wavespeed-ai/instant-character"
INPUTS = {"prompt": "a fox", "image": "https://example.com/fox.png", "size": "512*512", "seed": 7}
BODY = {"model": CHARACTER, "input": INPUTS, "metadata": {"order": 7}}
LATER = SimulatorConfig(delay=(60, 60), api_key="key")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def both(redis_url: str, **settings: Any) -> AsyncIterator[tuple[Served, Simulator]]:
    async with (
        running(LATER) as (base, simulator),
        serving(redis_url, provider_url=f"{base}/api/v3", wavespeed_api_key="key", **settings) as server,
    ):
        yield server, simulator


async def submit(server: Served, body: Any = BODY, key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await server.client.post("/api/v1/predictions", json=body, headers=headers)


async def test_a_submission_is_awaited_with_what_was_said_of_it(redis_url: str) -> None:
    async with both(redis_url, public_url="https://us.example/cb") as (server, simulator):
        answer = await submit(server)
        shown = answer.json()
        assert (answer.status_code, answer.headers["location"]) == (201, f"/api/v1/predictions/{shown['id']}")
        assert (shown["stage"], shown["model"], shown["metadata"]) == ("awaited", CHARACTER, {"order": 7})
        assert [line["step"] for line in shown["timeline"]] == ["submitted"]
        assert (await server.client.get(answer.headers["location"])).json() == shown
        (sent,) = simulator.truth()["predictions"]
        started = simulator.find(shown["id"])
    assert sent["id"] == shown["id"]
    assert started
    assert (started.inputs, started.webhook) == (INPUTS, "https://us.example/cb/webhooks/wavespeed")
    assert stored(redis_url, shown["id"])["stage"] == "awaited"
    assert polled_at(redis_url, shown["id"])


async def test_its_callback_advances_it_and_metadata_stays(redis_url: str) -> None:
    async with both(redis_url) as (server, _):
        id_ = (await submit(server)).json()["id"]
        assert (await server.call_back(callback(id_))).json()["outcome"] == "advanced"
        shown = (await server.client.get(f"/api/v1/predictions/{id_}")).json()
    assert (shown["received_via"], shown["metadata"]) == ("callback", {"order": 7})


async def test_the_same_key_and_body_give_the_same_answer_and_one_prediction(redis_url: str) -> None:
    async with both(redis_url) as (server, simulator):
        answers = [await submit(server, key="order-7") for _ in range(3)]
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        reordered = dict(reversed(BODY.items()))
        assert (await submit(server, reordered, key="order-7")).json() == answers[0].json()
        assert len(simulator.truth()["predictions"]) == 1


async def test_the_same_key_with_another_body_is_a_conflict(redis_url: str) -> None:
    async with both(redis_url) as (server, simulator):
        await submit(server, key="order-7")
        answer = await submit(server, BODY | {"input": INPUTS | {"seed": 8}}, key="order-7")
        assert (answer.status_code, answer.json()["reason"]) == (409, "conflict")
        assert len(simulator.truth()["predictions"]) == 1


async def test_without_a_key_each_submission_is_one_of_its_own(redis_url: str) -> None:
    async with both(redis_url) as (server, simulator):
        assert (await submit(server)).json()["id"] != (await submit(server)).json()["id"]
        assert len(simulator.truth()["predictions"]) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "with blank", "ümlaut"])
async def test_an_odd_key_is_named(redis_url: str, key: str) -> None:
    async with both(redis_url) as (server, simulator):
        headers = {"Idempotency-Key": key.encode()}
        answer = await server.client.post("/api/v1/predictions", json=BODY, headers=headers)  # type: ignore[arg-type]  # bytes are headers too
        assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")
        assert simulator.truth()["predictions"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", 7),
        ("image", "ftp://example.com/x"),
        ("image", "x"),
        ("size", "255*512"),
        ("size", "512*1537"),
        ("size", "512x512"),
        ("seed", -2),
        ("seed", 2147483648),
        ("seed", 1.5),
        ("seed", True),
    ],
)
async def test_inputs_out_of_range_are_named_before_the_provider_is_asked(
    redis_url: str, field: str, value: Any
) -> None:
    async with both(redis_url) as (server, simulator):
        answer = await submit(server, BODY | {"input": INPUTS | {field: value}})
        assert (answer.status_code, answer.json()["field"]) == (422, field)
        assert simulator.truth()["predictions"] == []


@pytest.mark.parametrize(
    ("status", "said", "expected", "reason"),
    [
        (400, {"code": 400, "message": "bad prompt"}, 422, "invalid_input"),
        (400, {"error": "webhook callback does not support base64 output"}, 422, "invalid_input"),
        (404, {"code": 404, "message": "no such model"}, 422, "provider_refused"),
        (200, {"code": 1401, "message": "invalid parameter"}, 422, "invalid_input"),
        (200, {"code": 1200, "message": "content moderation"}, 422, "moderation"),
        (402, {"code": 402, "message": "insufficient balance"}, 402, "insufficient_balance"),
        (429, {"code": 429, "message": "concurrency limit"}, 429, "concurrency_limit"),
        (401, {"code": 401, "message": "invalid key"}, 502, "key_refused"),
        (403, {"code": 403, "message": "forbidden"}, 502, "key_refused"),
    ],
)
async def test_a_refusal_of_the_provider_is_told_and_the_key_may_be_used_again(
    redis_url: str, httpserver: HTTPServer, status: int, said: dict[str, Any], expected: int, *, reason: str
) -> None:
    httpserver.expect_request(f"/api/v3/{CHARACTER}").respond_with_json(said, status)
    async with serving(redis_url, provider_url=httpserver.url_for("/api/v3")) as server:
        for _ in range(2):
            answer = await submit(server, key="k")
            assert (answer.status_code, answer.json()["reason"]) == (expected, reason)
            assert str(said.get("message") or said.get("error")) in answer.json()["detail"]
    assert len(httpserver.log) == 2


async def test_a_provider_out_of_reach_is_a_502_and_nothing_was_submitted(redis_url: str) -> None:
    async with serving(redis_url) as server:
        for _ in range(2):
            answer = await submit(server, key="k")
            assert (answer.status_code, answer.json()["reason"]) == (502, "provider_down")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
async def test_an_unknown_outcome_is_said_to_be_one_and_never_posted_again(
    redis_url: str, said: bytes
) -> None:
    async with (
        origin.running({f"/{CHARACTER}": origin.raw(said)}) as provider,
        serving(redis_url, provider_url=provider.url("")) as server,
    ):
        for _ in range(3):
            answer = await submit(server, key="k")
            assert (answer.status_code, answer.json()["reason"]) == (504, "submit_unknown")
        assert len(provider.requests) == 1


async def test_without_redis_nothing_is_submitted() -> None:
    async with running(LATER) as (base, simulator):
        url = "redis://127.0.0.1:9/0"
        async with serving(url, provider_url=f"{base}/api/v3", wavespeed_api_key="key") as server:
            answer = await submit(server)
            assert (answer.status_code, answer.json()["reason"]) == (503, "redis_down")
        assert simulator.truth()["predictions"] == []


async def test_the_providers_key_goes_to_the_provider_only(redis_url: str, httpserver: HTTPServer) -> None:
    said = {"code": 400, "message": "key wsk-secret is not allowed here"}
    httpserver.expect_request(f"/api/v3/{CHARACTER}").respond_with_json(said, 400)
    url = httpserver.url_for("/api/v3")
    async with serving(redis_url, provider_url=url, wavespeed_api_key="wsk-secret") as server:
        answer = await submit(server)
    assert answer.status_code == 422
    assert "wsk-secret" not in json.dumps(answer.json()) + str(answer.headers)
