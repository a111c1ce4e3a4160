"""`reconcile`: what the provider lists and nobody told us of is adopted at once, and counted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from service import wavespeed
from service.drift import NUMBERS
from service.simulator.load import submit_direct
from service.simulator.run import running
from service.simulator.simulator import SimulatorConfig
from tests.commandline import CommandLine
from tests.faults.backstage import Backstage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INPUTS = {"prompt": "a fox", "simulate": "clean"}


@pytest.fixture
def provider() -> Iterator[str]:
    with Backstage() as backstage:
        url, _ = backstage.enter(running(SimulatorConfig(delay=(0, 0))))
        yield url


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    cli = CommandLine(tmp_path, redis_url)
    cli.also = {"WAVESPEED_API_KEY": "simulated"}
    return cli


def test_what_nobody_told_us_of_is_adopted_once(cli: CommandLine, provider: str) -> None:
    id_ = asyncio.run(submit_direct(provider, "acme/painter", INPUTS, None))
    at_it = {"provider_url": f"{provider}/api/v3"}
    first = cli.run("reconcile", "--json", **at_it)
    assert (first.code, first.json["listed"], first.json["adopted"]) == (0, 1, 1)
    assert cli.run("show", id_, "--json").json["source"] == wavespeed.SOURCE
    again = cli.run("reconcile", "--since", "7d", **at_it)
    assert (again.code, "1 listed" in again.out, "0 of them new" in again.out) == (0, True, True)


def test_the_drift_is_shown_in_full_and_kept_for_whoever_asks_later(cli: CommandLine, provider: str) -> None:
    none_yet = cli.run("reconcile", "--last")
    assert (none_yet.code, none_yet.err.startswith("error: ")) == (3, True)
    asyncio.run(submit_direct(provider, "acme/painter", INPUTS, None))
    first = cli.run("reconcile", provider_url=f"{provider}/api/v3")
    rows = {line.split("  ")[0]: line.split()[-1] for line in first.out.splitlines()[2:]}
    assert list(rows) == [name.replace("_", " ") for name in NUMBERS]
    assert rows["late"] == "stage:awaited"
    last = cli.run("reconcile", "--last", "--json")
    counts = {"listed": 1, "missing": 1, "never_called_back": 1}
    assert {name: n for name, n in last.json.items() if n and name in NUMBERS} == counts
    (kept,) = last.json["sources"]
    assert (kept["source"], kept["adopted"]) == (wavespeed.SOURCE, 1)
    status = cli.run("status", "--json")
    assert status.json["reconciled"] == [kept]
    assert "never called back" in cli.run("status").out


@pytest.mark.parametrize("since", ["8d", "0", "yesterday"])
def test_a_time_that_cannot_be_is_a_usage_error(since: str, cli: CommandLine) -> None:
    ran = cli.run("reconcile", "--since", since)
    assert (ran.code, "--since" in ran.err) == (2, True)


def test_a_provider_that_does_not_answer_is_told(cli: CommandLine) -> None:
    ran = cli.run("reconcile")
    assert (ran.code, "provider" in ran.err.lower()) == (1, True)


def test_without_a_key_the_setting_is_named(tmp_path: Path, redis_url: str) -> None:
    ran = CommandLine(tmp_path, redis_url).run("reconcile")
    assert (ran.code, "WAVESPEED_API_KEY" in ran.err) == (2, True)


def test_a_source_without_a_key_is_named(cli: CommandLine) -> None:
    (cli.folder / "catchlight.toml").write_text('[[sources]]\nname = "studio"\n')
    ran = cli.run("reconcile", "--source", "studio")
    assert (ran.code, "studio" in ran.err) == (2, True)
    nobody = cli.run("reconcile", "--source", "nobody")
    assert (nobody.code, "declared are wavespeed, studio" in nobody.err) == (2, True)
