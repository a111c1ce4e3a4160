"""The receiver's promises: what is refused and in which order, what is believed, and what an answer means."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import TYPE_CHECKING, Any

import pytest

from service.web import problems
from tests.serving import PATH, SECRET, callback, serving, sign, stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.serving import Served

pytestmark = pytest.mark.anyio

MOST = 2000
GOOD = callback()
LONG = callback(padding="x" * MOST)
GZIP = {"content-encoding": "gzip"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, max_body=MOST) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty(redis_url: str) -> None:
    """Every test begins with an empty ledger."""


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and reason of an answer that is a proper problem and says nothing of what we have inside."""
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "reason", "detail"} == set(problem)
    assert problem["status"] == answer.status_code
    assert not any(
        word in answer.text.lower() for word in ("127.0.0.1", "hmac", "traceback", "whsec", SECRET)
    )
    return answer.status_code, problem["reason"]


@pytest.mark.parametrize(
    ("line", "body", "headers", "expected"),
    [
        ("GET /webhooks/nobody", LONG, GZIP, (404, "unknown_source")),
        (f"POST {PATH}/", GOOD, sign(GOOD), (404, "unknown_source")),
        (f"POST {PATH}/more", GOOD, sign(GOOD), (404, "unknown_source")),
        (f"PUT {PATH}", LONG, GZIP, (405, "method")),
        (f"POST {PATH}", LONG, GZIP, (415, "encoding")),
        (f"POST {PATH}", LONG, sign(LONG, secret="other"), (413, "too_large")),
        (f"POST {PATH}", b"no json", sign(b"no json", secret="other"), (401, "signature")),
        (f"POST {PATH}", b"no json", sign(b"no json", at=1_700_000_000), (400, "unparseable")),
        (f"POST {PATH}", b"no json", sign(b"no json"), (400, "unparseable")),
    ],
)
async def test_of_several_faults_the_first_in_the_contract_is_answered(
    server: Served, line: str, body: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    method, path = line.split()
    assert refused(await server.client.request(method, path, content=body, headers=headers)) == expected


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_another_method_is_told_which_one_is_allowed(server: Served, method: str) -> None:
    answer = await server.client.request(method, PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, identity", "identity, gzip", "x"])
async def test_an_encoded_body_is_never_inflated(server: Served, encoding: str) -> None:
    answer = await server.call_back(GOOD, sign(GOOD) | {"content-encoding": encoding})
    assert refused(answer) == (415, "encoding")


@pytest.mark.parametrize("headers", [{"content-encoding": "Identity"}, {"content-type": "text/plain"}, {}])
async def test_content_type_is_not_looked_at_and_identity_is_no_encoding(
    server: Served, headers: dict[str, str]
) -> None:
    assert (await server.call_back(GOOD, sign(GOOD) | headers)).status_code == 200


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


@pytest.mark.parametrize(
    "request_",
    [
        b"Content-Length: 9000000\r\n\r\n",
        b"Content-Length: 2001\r\n\r\n" + b"x" * 1000,
        b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 1000, b"x" * 1001),
    ],
)
async def test_a_body_over_the_cap_is_refused_before_its_end_and_the_connection_closed(
    server: Served, request_: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "LINGER", 0.05)
    answer = await server.raw(b"POST %b HTTP/1.1\r\nHost: x\r\n" % PATH.encode(), request_)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head
    assert json.loads(body)["reason"] == "too_large"


async def test_a_sender_who_reads_only_after_sending_still_sees_that_it_was_too_much(server: Served) -> None:
    def post() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("POST", PATH, b"x" * 6_000_000)
        status = connection.getresponse().status
        connection.close()
        return status

    assert await asyncio.to_thread(post) == 413


async def test_a_body_of_exactly_the_cap_is_taken(server: Served) -> None:
    body = callback(padding="x" * (MOST - len(callback(padding=""))))
    assert len(body) == MOST
    assert (await server.call_back(body)).status_code == 200


async def test_a_chunked_body_without_a_length_is_taken(server: Served) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(GOOD), 7):
            yield GOOD[at : at + 7]

    answer = await server.client.post(PATH, content=pieces(), headers=sign(GOOD))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "new")


SIGNED = sign(GOOD)
SIGNATURE = SIGNED["webhook-signature"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        *[[(n, v) for n, v in SIGNED.items() if n != gone] for gone in SIGNED],
        *[[*SIGNED.items(), (twice, SIGNED[twice])] for twice in SIGNED],
        [*(SIGNED | {"webhook-signature": SIGNATURE.upper()}).items()],
        [*(SIGNED | {"webhook-signature": "v3," + SIGNATURE[3:].upper()}).items()],
        [*(SIGNED | {"webhook-signature": "v1" + SIGNATURE[2:]}).items()],
        [*(SIGNED | {"webhook-signature": " ".join([SIGNATURE] * 11)}).items()],
        [*(SIGNED | {"webhook-signature": SIGNATURE.replace(",", ", ")}).items()],
        [*(SIGNED | {"webhook-timestamp": "1" * 13}).items()],
        [*(SIGNED | {"webhook-timestamp": "+" + SIGNED["webhook-timestamp"]}).items()],
        [*(SIGNED | {"webhook-id": "x" * 257}).items()],
        [*(SIGNED | {"webhook-id": "another"}).items()],
        [*sign(GOOD, secret="whsec_other").items()],
        [*sign(GOOD + b" ").items()],
    ],
)
async def test_missing_repeated_malformed_or_wrong_headers_are_all_one_refusal(
    server: Served, redis_url: str, headers: list[tuple[str, str]]
) -> None:
    answer = await server.client.post(PATH, content=GOOD, headers=headers)
    assert refused(answer) == (401, "signature")
    assert answer.json()["detail"] == "the signature does not hold"
    assert stored(redis_url, "pred_1") == {}


async def test_while_secrets_rotate_either_signs(redis_url: str) -> None:
    async with serving(redis_url, webhook_secrets="whsec_new,old") as server:
        for secret in ("whsec_new", "whsec_old", "new"):
            assert (await server.call_back(GOOD, sign(GOOD, secret=secret))).status_code == 200
        both = (
            sign(GOOD, secret="strange")["webhook-signature"],
            sign(GOOD, secret="old")["webhook-signature"],
        )
        headers = sign(GOOD) | {"webhook-signature": " ".join(both)}
        assert (await server.call_back(GOOD, headers)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xef\xbb\xbf" + GOOD,
        b"[]",
        b'{"status": "completed"}',
        callback("../../etc"),
        callback("x" * 129),
        json.dumps({"id": 7, "status": "completed"}).encode(),
        json.dumps({"id": "p", "status": None}).encode(),
        callback(outputs=7),
        b'{"id": "p", "id": "q", "status": "completed"}',
        GOOD.decode().encode("utf-16"),
    ],
)
async def test_a_genuine_body_that_is_no_prediction_is_a_400(server: Served, body: bytes) -> None:
    assert refused(await server.call_back(body)) == (400, "unparseable")


@pytest.mark.parametrize(
    "field", ["model", "error", "created_at", "has_nsfw_contents", "input", "code", "new"]
)
@pytest.mark.parametrize("value", [None, 7, "x", [], {"a": [1]}])
async def test_any_other_field_may_be_of_any_type(server: Served, field: str, value: Any) -> None:
    assert (await server.call_back(callback(**{field: value}))).status_code == 200
