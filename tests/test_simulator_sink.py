"""The sample hook: what it believes, what it writes down, and when it is down."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service.simulator.run import serving
from service.simulator.sink import Outage, Sink

if TYPE_CHECKING:
    from pathlib import Path

KEY = b"the-key-of-the-sample-hook"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OTHER = "whsec_" + base64.b64encode(b"another-key-than-the-first").decode()
BODY = b'{"type":"prediction.completed","timestamp":"2026-01-01T00:00:00.000Z","data":{"id":"p1"}}'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def signed(body: bytes = BODY, event: str = "evt_1", age: int = 0, key: bytes = KEY) -> dict[str, str]:
    """Standard Webhooks, spelled out."""
    at = str(int(time.time()) - age)
    digest = hmac.new(key, f"{event}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": event,
        "webhook-timestamp": at,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.anyio
async def test_a_genuine_event_is_written_down_and_answered_200(tmp_path: Path) -> None:
    path = tmp_path / "hooks.jsonl"
    with Sink([OTHER, SECRET], path) as sink:
        async with serving(sink.app()) as base_url, httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{base_url}/hook", content=BODY, headers=signed())
    assert answer.status_code == 200
    (line,) = lines(path)
    assert line == sink.seen[0]
    assert (line["event_id"], line["type"], line["prediction"]) == ("evt_1", "prediction.completed", "p1")
    assert (line["verified"], line["status"], line["attempt"], line["body"]) == (True, 200, 1, BODY.decode())


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,a,b"},
        {"webhook-signature": "v1,!"},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "v3," + "0" * 64},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-id": "evt_2"},
        signed(key=b"not the key"),
        signed(age=400),
        signed(body=b"{}"),
    ],
)
def test_what_does_not_verify_is_recorded_and_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    with Sink([SECRET], tmp_path / "hooks.jsonl") as sink:
        assert sink.take(BODY, signed() | changes) == 401
    assert [(line["verified"], line["status"]) for line in sink.seen] == [(False, 401)]


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[" * 100_000, b"[]", b'{"type":1,"data":[]}', b'{"data":{"id":2}}']
)
def test_any_body_can_be_recorded(tmp_path: Path, body: bytes) -> None:
    with Sink([SECRET], tmp_path / "hooks.jsonl") as sink:
        sink.take(body, signed(body))
    assert (sink.seen[0]["type"], sink.seen[0]["prediction"]) == (None, None)
    assert len(lines(tmp_path / "hooks.jsonl")) == 1


def test_attempts_count_per_event_and_the_first_ones_meet_the_outage(tmp_path: Path) -> None:
    with Sink([SECRET], tmp_path / "hooks.jsonl", Outage(first=2)) as sink:
        statuses = [sink.take(BODY, signed(event=event)) for event in ("a", "a", "a", "b")]
    assert statuses == [503, 503, 200, 200]
    assert [line["attempt"] for line in sink.seen] == [1, 2, 3, 1]
    assert all(line["verified"] for line in sink.seen)


def test_each_event_may_meet_an_outage_of_its_own(tmp_path: Path) -> None:
    with Sink([SECRET], tmp_path / "hooks.jsonl", Outage(of_each=1)) as sink:
        statuses = [sink.take(BODY, signed(event=event)) for event in ("a", "a", "b", "b")]
    assert statuses == [503, 200, 503, 200]


@pytest.mark.parametrize(
    ("outage", "attempts", "elapsed", "down"),
    [
        (Outage(), 0, 0.0, False),
        (Outage(first=3), 2, 99.0, True),
        (Outage(first=3), 3, 99.0, False),
        (Outage(begins=2, ends=5), 9, 1.9, False),
        (Outage(begins=2, ends=5), 9, 2.0, True),
        (Outage(begins=2, ends=5), 9, 5.0, False),
        (Outage(of_each=10), 9, 0.0, True),
        (Outage(of_each=9), 9, 0.0, False),
    ],
)
def test_an_outage_covers_the_first_attempts_and_a_window(
    outage: Outage, attempts: int, elapsed: float, down: bool
) -> None:
    assert outage.covers(attempts, elapsed, attempts) is down
