"""`hooks test`: a signed ping that a Standard Webhooks receiver takes, and what each answer means."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from werkzeug import Request, Response

from service.hooks.explained import explain
from tests.commandline import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1waW5n"
PRIVATE = {"fetch_private": "127.0.0.0/8"}


@pytest.fixture
def cli(tmp_path: Path, httpserver: HTTPServer) -> CommandLine:
    url = httpserver.url_for("/hook?key=hidden")
    (tmp_path / "catchlight.toml").write_text(
        f'[[hooks]]\nname = "crm"\nurl = "{url}"\nsecret = "{SECRET}"\ntimeout = 2\n'
    )
    return CommandLine(tmp_path, None)


def test_a_ping_verifies_and_is_no_event_of_a_prediction(cli: CommandLine, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_data("ok")
    ran = cli.run("hooks", "test", "crm", "--json", **PRIVATE)
    assert (ran.code, ran.json["status"], ran.json["taken"]) == (0, 200, True)
    (request, _) = httpserver.log[0]
    body = Webhook(SECRET).verify(request.get_data(), dict(request.headers))
    assert (body["type"], body["data"]) == ("hook.ping", {"hook": "crm"})


@pytest.mark.parametrize(
    ("status", "word"), [(401, "secret"), (404, "url"), (410, "gone"), (302, "final"), (500, "SCHEDULE")]
)
def test_every_other_answer_is_a_failure_that_is_explained(
    status: int, word: str, cli: CommandLine, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=status)
    ran = cli.run("hooks", "test", "crm", **PRIVATE)
    assert (ran.code, str(status) in ran.out, word in ran.err) == (1, True, True)
    assert "hidden" not in ran.out + ran.err


def test_a_forbidden_address_is_named_and_not_connected_to(cli: CommandLine, httpserver: HTTPServer) -> None:
    ran = cli.run("hooks", "test", "crm")
    assert (ran.code, "refused_" in ran.out, "CATCHLIGHT_FETCH_PRIVATE" in ran.out) == (1, True, True)
    assert httpserver.log == []


def test_an_unknown_hook_is_exit_3_and_names_the_nearest(cli: CommandLine) -> None:
    ran = cli.run("hooks", "test", "crn")
    assert (ran.code, "crm" in ran.err) == (3, True)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ("no answer within 10 s", "raise timeout"),
        ("the connection failed (ConnectionRefusedError)", "Nothing listens there"),
        ("the connection failed (SSLCertVerificationError)", "certificate"),
        ("the connection failed (gaierror)", "DNS"),
        ("the connection failed (ServerDisconnectedError)", "hung up"),
        ("the connection failed (NeverSeenError)", "SCHEDULE"),
    ],
)
def test_no_answer_is_explained_by_its_cause_and_means_another_try(error: str, word: str) -> None:
    said = explain(None, error, refused=False)
    assert word in said
    assert "tried again" in said


def test_every_status_is_explained_and_only_the_final_ones_are_not_tried_again() -> None:
    said = {status: explain(status, refused=False) for status in range(100, 600)}
    assert all(said.values())
    final = {status for status, text in said.items() if "tried again" not in text}
    assert final == {*range(200, 300), 410, 429, 503}


def test_nothing_listening_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "catchlight.toml").write_text(
        f'[[hooks]]\nname = "crm"\nurl = "http://127.0.0.1:9/"\nsecret = "{SECRET}"\n'
    )
    ran = CommandLine(tmp_path, None).run("hooks", "test", "crm", **PRIVATE)
    assert (ran.code, "ConnectionRefusedError" in ran.out, "Nothing listens" in ran.err) == (1, True, True)


def test_a_hook_that_is_too_slow_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    released = threading.Event()

    def answer(_: Request) -> Response:
        released.wait(10)
        return Response("late")

    # Of its own: what it answers too late would be found among the requests of another test.
    with HTTPServer() as slow:
        slow.expect_request("/hook").respond_with_handler(answer)
        (tmp_path / "catchlight.toml").write_text(
            f'[[hooks]]\nname = "crm"\nurl = "{slow.url_for("/hook")}"\nsecret = "{SECRET}"\ntimeout = 0.2\n'
        )
        ran = CommandLine(tmp_path, None).run("hooks", "test", "crm", **PRIVATE)
        released.set()
    assert (ran.code, "no answer within 0.2 s" in ran.out, "raise timeout" in ran.err) == (1, True, True)


def test_a_ping_carries_the_headers_by_reference_and_nothing_shows_them(
    cli: CommandLine, httpserver: HTTPServer
) -> None:
    (cli.folder / "key").write_text("hidden-in-a-file\n")
    with (cli.folder / "catchlight.toml").open("a") as config:
        config.write(
            'headers = { x-team = "hidden-blue", x-key = { env = "CRM_KEY" }, x-file = { file = "key" } }\n'
        )
    cli.also["CRM_KEY"] = "hidden-in-a-variable"
    httpserver.expect_request("/hook").respond_with_data("ok")
    ran = cli.run("hooks", "test", "crm", **PRIVATE)
    (request, _) = httpserver.log[0]
    sent = [request.headers[name] for name in ("x-team", "x-key", "x-file")]
    assert sent == ["hidden-blue", "hidden-in-a-variable", "hidden-in-a-file"]
    assert Webhook(SECRET).verify(request.get_data(), dict(request.headers))
    for shown in (ran, cli.run("config", "show", "--json"), cli.run("config", "show")):
        assert (shown.code, "hidden" in shown.out + shown.err) == (0, False)


def test_a_ping_to_a_stream_stands_in_it(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "catchlight.toml").write_text(
        '[[hooks]]\nname = "lake"\nkind = "redis-stream"\nstream = "lake"\n'
    )
    ran = CommandLine(tmp_path, redis_url).run("hooks", "test", "lake", "--json")
    assert (ran.code, ran.json["taken"], "stands in the stream" in ran.json["explained"]) == (0, True, True)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        ((_, entry),) = cast("Any", client.xrange("catchlight:stream:lake"))
    assert (entry["type"], json.loads(entry["body"])["data"]) == ("hook.ping", {"hook": "lake"})
