"""`config`: the settings as they are, where they came from, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commandline import CommandLine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, None)


def test_every_setting_is_shown_with_its_origin(cli: CommandLine) -> None:
    (cli.folder / "catchlight.toml").write_text('lease = "20s"\n')
    rows = {row["name"]: row for row in cli.run("config", "show", "--json", port="9000").json["settings"]}
    assert (rows["lease"]["value"], rows["lease"]["origin"]) == ("20s", "catchlight.toml")
    assert (rows["port"]["value"], rows["port"]["origin"]) == ("9000", "environment CATCHLIGHT_PORT")
    assert (rows["grace"]["value"], rows["grace"]["origin"]) == ("10s", "default")


def test_secrets_are_masked(cli: CommandLine) -> None:
    secrets = {
        "webhook_secrets": "whsec_hidden",
        "admin_token": "hidden",
        "redis_url": "redis://:hidden@h:1/0",
    }
    for options in ([], ["--json"]):
        shown = cli.run("config", "show", *options, **secrets).out
        assert "CATCHLIGHT_ADMIN_TOKEN" in shown
        assert "hidden" not in shown


@pytest.mark.parametrize(
    "command", [["config", "check"], ["config", "show"], ["ls"], ["work"], ["serve"], ["sweep"]]
)
def test_a_wrong_setting_is_exit_2_and_names_the_nearest_right_one(
    command: list[str], cli: CommandLine
) -> None:
    ran = cli.run(*command, concurency="3")
    assert (ran.code, ran.out) == (2, "")
    assert (
        ran.err
        == "error: CATCHLIGHT_CONCURENCY: is unknown; the nearest right one is CATCHLIGHT_CONCURRENCY\n"
    )


def test_several_wrong_settings_are_told_together(cli: CommandLine) -> None:
    ran = cli.run("config", "check", lease="soon", port="high")
    assert ran.code == 2
    assert ran.err.startswith("error: 2 settings are wrong:\n")


def test_what_is_allowed_but_odd_is_a_warning(cli: CommandLine) -> None:
    odd = {"public_url": "http://127.0.0.1:8080", "provider_url": "https://provider.example/api/v3"}
    ran = cli.run("config", "check", **odd)
    assert ran.code == 0
    assert "warning: CATCHLIGHT_PUBLIC_URL: callbacks over http" in ran.err
    said = cli.run("config", "check", "--json", **odd).json
    assert said["ok"] is True
    assert len(said["warnings"]) == 2


def test_a_hook_at_a_private_address_is_a_warning(cli: CommandLine) -> None:
    hook = '[[hooks]]\nname = "crm"\nurl = "http://10.0.0.7/hook"\nsecret = "whsec_c2VjcmV0"\n'
    (cli.folder / "catchlight.toml").write_text(hook)
    assert '[[hooks]] "crm"' in cli.run("config", "check").err
    assert '[[hooks]] "crm"' not in cli.run("config", "check", fetch_private="10.0.0.0/8").err
