"""`connect`: what it finds of an account, what it writes where, and what it never prints."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from service.simulator.run import running
from service.simulator.simulator import SimulatorConfig
from tests.commandline import CommandLine, Ran
from tests.faults.backstage import Backstage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY, SECRET = "geheim-key", "whsec_geheim-secret"
NOBODY = "http://127.0.0.1:9/webhooks/wavespeed"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with Backstage() as backstage:
        url, _ = backstage.enter(running(SimulatorConfig(secrets=(SECRET,), api_key=KEY)))
        yield f"{url}/api/v3"


@pytest.fixture
def cli(tmp_path: Path, provider: str) -> CommandLine:
    cli = CommandLine(tmp_path, None)
    cli.also = {"WAVESPEED_API_KEY": KEY}
    (tmp_path / "catchlight.toml").write_text(
        f'provider_url = "{provider}"\npublic_url = "https://p.example"\n'
    )
    return cli


def connect(cli: CommandLine, *arguments: str, **settings: str) -> Ran:
    environment = cli.environment(**settings)
    if "provider_url" not in settings:
        del environment["CATCHLIGHT_PROVIDER_URL"]
    ran = cli.run_in(environment, "connect", *arguments)
    assert not any(secret in ran.out + ran.err for secret in (KEY, SECRET))
    return ran


def test_a_new_secret_is_written_to_a_file_of_ones_own(cli: CommandLine) -> None:
    first = connect(cli)
    assert first.code == 5
    assert "--write FILE" in first.out
    ran = connect(cli, "--write", "secret", "--json")
    assert (ran.code, ran.json["secret"], ran.json["written"]) == (5, "unset", "secret")
    file = cli.folder / "secret"
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (f"{SECRET}\n", 0o600)
    assert ran.json["callback_url"] == "https://p.example/webhooks/wavespeed"
    assert ran.json["submit"].endswith("/api/v3/MODEL?webhook=https%3A%2F%2Fp.example%2Fwebhooks%2Fwavespeed")


def test_a_file_that_is_there_stays_as_it_is(cli: CommandLine) -> None:
    (cli.folder / "secret").write_text("another")
    ran = connect(cli, "--write", "secret")
    assert (ran.code, "is there already" in ran.err) == (2, True)
    assert (cli.folder / "secret").read_text() == "another"


def test_a_new_account_is_told_the_table_to_add(cli: CommandLine) -> None:
    (cli.folder / "key").write_text(f"{KEY}\n")
    ran = connect(cli, "--source", "studio", "--key-file", "key", "--write", "secret", "--json")
    assert (ran.code, ran.json["callback_url"]) == (5, "https://p.example/webhooks/studio")
    (table, *_) = ran.json["steps"]
    assert 'name = "studio", key = { file = "key" }, secrets = [{ file = "secret" }]' in table


def test_a_test_callback_that_reaches_nobody_is_exit_4(cli: CommandLine) -> None:
    ran = connect(cli, "--to", NOBODY, "--json", webhook_secrets=SECRET)
    assert (ran.code, ran.json["secret"], ran.json["test"]["result"]) == (4, "configured", "unreached")
    quiet = connect(cli, "--no-test", webhook_secrets=SECRET)
    assert (quiet.code, "callback  skipped" in quiet.out) == (0, True)


def test_a_key_that_is_refused_is_exit_1(cli: CommandLine) -> None:
    cli.also = {"WAVESPEED_API_KEY": "wrong"}
    ran = connect(cli)
    assert (ran.code, "invalid api key" in ran.err) == (1, True)


def test_what_nobody_can_be_asked_for_is_a_usage_error(cli: CommandLine) -> None:
    cli.also = {}
    ran = connect(cli)
    assert (ran.code, "--key-file" in ran.err) == (2, True)
    odd = connect(cli, "--source", "The Studio")
    assert (odd.code, "--source" in odd.err) == (2, True)


def test_a_given_secret_is_taken_for_the_providers(cli: CommandLine) -> None:
    (cli.folder / "given").write_text(SECRET)
    ran = connect(cli, "--secret-file", "given", "--no-test", "--json", webhook_secrets="whsec_other")
    assert (ran.code, ran.json["secret"]) == (5, "differs")
