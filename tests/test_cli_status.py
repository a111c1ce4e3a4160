"""`status`: its words, its JSON and its exit codes; what is judged is in `test_troubles.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import clock
from service.ledger.refusals import Batch, RefusedCallback
from service.refusals import RefusedFor
from service.troubles import ROLES
from tests.commandline import CommandLine, accept, completed, dead, in_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from service.ledger import Ledger


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


def beat(redis_url: str) -> None:
    async def act(ledger: Ledger) -> None:
        for role in ROLES:
            await ledger.roles.beat(role, "host-1")

    in_ledger(redis_url, act)


@pytest.mark.parametrize(
    ("hours_ago", "reason", "warned"),
    [(0.1, RefusedFor.SIGNATURE, True), (1.1, RefusedFor.SIGNATURE, False), (0.1, RefusedFor.METHOD, False)],
    ids=["lately", "long ago", "others"],
)
def test_many_signatures_that_did_not_hold_lately_are_a_warning(
    hours_ago: float, reason: RefusedFor, warned: bool, cli: CommandLine, redis_url: str
) -> None:
    one = RefusedCallback(clock.now() - hours_ago * 3600, "main", reason, "", None, None, None)
    in_ledger(redis_url, lambda ledger: ledger.refusals.write(Batch("p", 1, {reason: 25}, [one] * 25)))
    ran = cli.run("status", "--json")
    assert ran.code == 0
    assert ("catchlight refused" in {problem["fix"] for problem in ran.json["problems"]}) is warned
    assert ran.json["tally"][f"refused_{reason}"] == 25


def test_status_is_healthy_while_every_role_beats(cli: CommandLine, redis_url: str) -> None:
    beat(redis_url)
    accept(redis_url, completed("p1"))
    ran = cli.run("status")
    assert ran.code == 0
    assert ran.out.startswith("healthy\n")


def test_status_tells_machines_all_of_it(cli: CommandLine, redis_url: str) -> None:
    accept(redis_url, completed("p1"))
    ran = cli.run("status", "--json")
    said = ran.json
    assert ran.code == 4
    assert (said["healthy"], said["redis"]) == (False, True)
    assert {problem["fix"] for problem in said["problems"]} >= {f"catchlight {role}" for role in ROLES}
    assert said["scaling"]["backlog"] == said["stages"]["accepted"] == 1
    assert said["roles"] == []


def test_a_quiet_system_without_roles_is_not_unhealthy(cli: CommandLine) -> None:
    assert cli.run("status").code == 0


def test_dead_predictions_do_not_make_it_unhealthy(cli: CommandLine, redis_url: str) -> None:
    beat(redis_url)
    dead(redis_url, "p1")
    ran = cli.run("status", "--json")
    assert ran.code == 0
    assert ran.json["stages"]["dead"] == 1


def test_redis_away_is_exit_4_for_people_and_machines(cli: CommandLine) -> None:
    ran = cli.run("status", "--json", redis_url="redis://127.0.0.1:1/0")
    assert ran.code == 4
    assert (ran.json["healthy"], ran.json["redis"]) == (False, False)
    assert ran.err.startswith("error: Redis does not answer")


@pytest.mark.parametrize(
    ("also", "settings", "colored"),
    [
        ({"FORCE_COLOR": "1"}, {}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, {}, False),
        ({"FORCE_COLOR": "1"}, {"no_color": "true"}, False),
        ({}, {}, False),
    ],
    ids=["terminal", "NO_COLOR", "setting", "pipe"],
)
def test_color_is_for_terminals_that_want_it(
    also: dict[str, str], settings: dict[str, str], colored: bool, cli: CommandLine
) -> None:
    cli.also = also
    shown = cli.run("status", **settings).out
    assert ("\x1b[1;32mhealthy" in shown) is colored
    assert ("\x1b[3" in shown) is colored
