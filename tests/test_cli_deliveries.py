"""`deliveries` and `hooks`: what was sent, sending it again, and switching a hook off and on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commandline import DELIVERY, CommandLine, told

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
[[hooks]]
name = "crm"
url = "http://user:hidden@127.0.0.1:9/hook?key=hidden"
secret = "whsec_c2VjcmV0"
"""


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    (tmp_path / "catchlight.toml").write_text(CONFIG)
    return CommandLine(tmp_path, redis_url)


def test_a_delivery_is_shown_as_the_api_does(cli: CommandLine, redis_url: str) -> None:
    told(redis_url, "p1")
    shown = cli.run("deliveries", "show", DELIVERY, "--json").json
    (attempt,) = shown.pop("history")
    assert shown == cli.run("show", "p1", "--json").json["deliveries"][0]
    assert (attempt["status"], attempt["error"]) == (500, "answered 500")
    assert (shown["state"], shown["last_status"], shown["hook"]) == ("dead", 500, "crm")


def test_a_delivery_for_people_tells_of_each_attempt(cli: CommandLine, redis_url: str) -> None:
    told(redis_url, "p1")
    lines = cli.run("deliveries", "show", DELIVERY).out.splitlines()
    head = next(line for line in lines if "ms" in line.split())
    assert head.split() == ["at", "status", "ms", "error", "answer", "probe"]
    assert "answered 500" in lines[lines.index(head) + 1]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], 1),
        (["--state", "dead"], 1),
        (["--state", "pending"], 0),
        (["--hook", "crm"], 1),
        (["--hook", "erp"], 0),
        (["state:dead", "hook:c*", "err:500"], 1),
        (["state:dead", "--hook", "erp"], 0),
    ],
)
def test_deliveries_are_listed_by_state_and_hook(
    options: list[str], found: int, cli: CommandLine, redis_url: str
) -> None:
    told(redis_url, "p1")
    assert len(cli.run("deliveries", "ls", *options, "--json").json["items"]) == found


def test_a_wrong_word_is_exit_2_and_named(cli: CommandLine) -> None:
    ran = cli.run("deliveries", "ls", "stage:done")
    assert (ran.code, ran.out) == (2, "")
    assert "`stage:done`: there is no stage; use id, err, hook" in ran.err


def test_a_list_for_people_names_what_failed(cli: CommandLine, redis_url: str) -> None:
    told(redis_url, "p1")
    assert "answered 500" in cli.run("deliveries", "ls").out


def test_explain_says_whom_we_gave_up_telling(cli: CommandLine, redis_url: str) -> None:
    told(redis_url, "p1")
    assert f"`catchlight deliveries retry {DELIVERY}` tries again." in cli.run("explain", "p1").out


@pytest.mark.parametrize(
    ("ids", "code"),
    [([DELIVERY], 0), ([DELIVERY, "dlv_no"], 5), (["dlv_no"], 3)],
    ids=["all", "some", "none"],
)
def test_retry_is_partly_done_when_an_id_is_unknown(
    ids: list[str], code: int, cli: CommandLine, redis_url: str
) -> None:
    told(redis_url, "p1")
    ran = cli.run("deliveries", "retry", *ids)
    assert ran.code == code
    assert ("error: no delivery dlv_no" in ran.err) is (code != 0)
    assert cli.run("deliveries", "show", DELIVERY, "--json").json["state"] == (
        "dead" if code == 3 else "pending"
    )


def test_an_unknown_delivery_is_exit_3(cli: CommandLine) -> None:
    ran = cli.run("deliveries", "show", "dlv_no")
    assert (ran.code, ran.err) == (3, "error: no delivery dlv_no\n")


def test_a_hook_is_disabled_with_a_reason_and_enabled_again(cli: CommandLine) -> None:
    off = cli.run("hooks", "disable", "crm", "--why", "moving house", "--json").json
    assert (off["state"], off["why"]) == ("disabled", "moving house")
    assert cli.run("hooks", "ls", "--json").json["items"] == [off]
    assert "moving house" in cli.run("hooks", "ls").out
    assert cli.run("hooks", "enable", "crm").err == "crm is enabled\n"
    on = cli.run("hooks", "ls", "--json").json["items"][0]
    assert (on["state"], on["why"], on["since"]) == ("enabled", None, None)


def test_a_disabled_hook_shows_in_status(cli: CommandLine) -> None:
    cli.run("hooks", "disable", "crm")
    problems = cli.run("status", "--json").json["problems"]
    assert "catchlight hooks enable crm" in {problem["fix"] for problem in problems}


@pytest.mark.parametrize(
    "command", [["hooks", "ls"], ["hooks", "ls", "--json"], ["config", "show", "--json"]]
)
def test_no_secret_of_a_hook_is_shown(command: list[str], cli: CommandLine) -> None:
    shown = cli.run(*command).out
    assert "crm" in shown
    assert "hidden" not in shown
    assert "c2VjcmV0" not in shown


@pytest.mark.parametrize("command", ["enable", "disable"])
def test_an_unknown_hook_is_exit_3_with_the_nearest(command: str, cli: CommandLine) -> None:
    ran = cli.run("hooks", command, "crn")
    assert (ran.code, ran.err) == (3, "error: no hook crn; the nearest is crm\n")
