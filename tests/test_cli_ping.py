"""`hooks test`: a signed ping that a Standard Webhooks receiver takes, and what each answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook

from service.cli.ping import explain
from tests.commandline import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_httpserver import HTTPServer

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


def test_no_answer_means_another_try() -> None:
    assert "again" in explain(None, refused=False)
