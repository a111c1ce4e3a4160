"""`serve` as a process: how it starts, refuses to start, drains and logs, and how fast it answers."""

from __future__ import annotations

import signal
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from service import embedded
from service.errors import ConfigError
from service.settings import Settings
from service.web.app import build
from service.web.server import bound
from tests.serving import PATH, SECRET, callback, own_redis, role, sign, started, stored
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode()


def test_start_and_end_of_the_role_a_line_when_ready_and_exit_code_0(tmp_path: Path, redis_url: str) -> None:
    with role(tmp_path, redis_url) as server:
        body = callback()
        assert httpx.post(server.url + PATH, content=body, headers=sign(body)).status_code == 200
        server.process.terminate()
        assert server.process.wait(10) == 0
    assert server.said().splitlines().count("ready role=serve") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_callback_in_flight_at_a_signal_is_answered(
    tmp_path: Path, redis_url: str, number: signal.Signals
) -> None:
    body = callback("in-flight")
    head = "".join(f"{n}: {v}\r\n" for n, v in (sign(body) | {"content-length": str(len(body))}).items())
    with role(tmp_path, redis_url) as server:
        address = ("127.0.0.1", httpx.URL(server.url).port or 0)
        with closing(socket.create_connection(address)) as connection:
            connection.sendall(HEAD + head.encode() + b"\r\n" + body[:-1])
            # Only once it has asked Redis for something can the signal not come before the request.
            assert httpx.get(f"{server.url}/readyz").status_code == 200
            server.process.send_signal(number)
            wait_until(lambda: _refuses(address), what="the listener closed")
            connection.sendall(body[-1:])
            assert b'"outcome":"new"' in b"".join(iter(lambda: connection.recv(4096), b""))
        assert server.process.wait(10) == 0
    assert stored(redis_url, "in-flight")["stage"] == "accepted"


def _refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_sender_who_never_ends_does_not_outlast_the_grace(tmp_path: Path, redis_url: str) -> None:
    with role(tmp_path, redis_url, grace="1s") as server:
        address = ("127.0.0.1", httpx.URL(server.url).port or 0)
        with closing(socket.create_connection(address)) as connection:
            connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
            assert httpx.get(f"{server.url}/readyz").status_code == 200
            server.process.terminate()
            assert server.process.wait(8) == 0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"webhook_secrets": None}, "CATCHLIGHT_WEBHOOK_SECRETS"),
        ({"redis_url": "http://here"}, "CATCHLIGHT_REDIS_URL"),
        ({"host": "0.0.0.0"}, "CATCHLIGHT_ADMIN_TOKEN"),  # noqa: S104  # it must not be listened on
        ({"host": "192.0.2.1", "admin_token": "x"}, "CATCHLIGHT_HOST"),
    ],
)
def test_what_it_cannot_start_with_is_named_and_exits_with_2(
    tmp_path: Path, redis_url: str, settings: dict[str, str | None], named: str
) -> None:
    with started(tmp_path, redis_url, **settings) as process:
        assert process.wait(20) == 2
    said = (tmp_path / "serve.log").read_text()
    assert named in said
    assert "Traceback" not in said
    assert "ready" not in said


def test_a_taken_port_is_named_and_exits_with_2(tmp_path: Path, redis_url: str) -> None:
    with closing(bound("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(tmp_path, redis_url, port=port) as process:
            assert process.wait(20) == 2
    said = (tmp_path / "serve.log").read_text()
    assert "CATCHLIGHT_PORT" in said
    assert str(port) in said


def test_no_application_is_built_that_could_not_verify() -> None:
    with pytest.raises(ConfigError, match="CATCHLIGHT_WEBHOOK_SECRETS"):
        build(Settings(), "redis://127.0.0.1:9/0")


def test_it_starts_without_redis_and_serves_once_there_is_one(tmp_path: Path) -> None:
    with own_redis(tmp_path) as own:
        own.kill()
        with role(tmp_path, own.url) as server:
            assert httpx.get(f"{server.url}/livez").status_code == 200
            assert httpx.get(f"{server.url}/readyz").status_code == 503
            own.start()
            wait_until(lambda: httpx.get(f"{server.url}/readyz").status_code == 200)


def test_it_drains_without_redis_too(tmp_path: Path) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    with closing(silent), role(tmp_path, embedded.url(silent.getsockname()[1])) as server:
        server.process.terminate()
        assert server.process.wait(10) == 0


def test_a_redis_that_may_forget_is_warned_of(tmp_path: Path) -> None:
    with own_redis(tmp_path) as own:
        own.configure("appendfsync", "everysec")
        with role(tmp_path, own.url) as server:
            wait_until(lambda: "redis.not_durable" in server.said())
    (warned,) = [line for line in server.lines() if line["event"] == "redis.not_durable"]
    assert "appendfsync is everysec" in warned["detail"]


def test_no_secret_is_said_in_any_line(tmp_path: Path, redis_url: str) -> None:
    token = "admin-token-of-this-test"
    with role(tmp_path, redis_url, admin_token=token, log_level="debug") as server:
        for headers in ({}, {"authorization": f"Bearer {token}"}, {"authorization": f"Bearer {token}x"}):
            answer = httpx.get(
                f"{server.url}/api/v1/predictions", params={"query": token, "token": token}, headers=headers
            )
            assert token not in answer.text or answer.status_code == 400
        body = callback()
        httpx.post(f"{server.url}{PATH}?token={token}", content=body, headers=sign(body, secret="wrong"))
        httpx.post(f"{server.url}{PATH}?token={token}", content=body, headers=sign(body))
    assert token not in server.said()
    assert SECRET.removeprefix("whsec_") not in server.said()
    assert sign(body)["webhook-signature"] not in server.said()


def test_whatever_a_callback_says_is_one_short_line(tmp_path: Path, redis_url: str) -> None:
    with role(tmp_path, redis_url) as server:
        for status in ("x" * 1_000_000, "one\ntwo\r\n\x1b[2Jthree\u2028four", "processing"):
            body = callback(status=status)
            assert httpx.post(server.url + PATH, content=body, headers=sign(body)).status_code == 200
        httpx.post(f"{server.url}/webhooks/{'y' * 5000}%00ready", content=b"")
        server.process.terminate()
        server.process.wait(10)
    said = [line for line in server.lines() if line["event"].startswith("callback")]
    assert [line["event"] for line in said] == ["callback"] * 3 + ["callback.refused"]
    assert max(map(len, server.said().splitlines())) < 1000
