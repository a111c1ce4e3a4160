"""`status`: what makes it unhealthy, in which order problems stand, and which command ends each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service import clock
from service.cli.health import ROLES, Facts, judge
from service.ledger.durability import State
from service.ledger.refusals import Batch, RefusedCallback
from service.refusals import RefusedFor
from service.telling.spans import ago, span
from tests.commandline import CommandLine, accept, completed, dead, in_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from service.ledger import Ledger

EVERYBODY = [{"role": role, "instance": "i", "beat_at": "2026-01-01T00:00:00.000Z"} for role in ROLES]
IDLE = {"backlog": 0, "awaited": 0, "oldest_due_seconds": 0.0}
WELL = Facts(EVERYBODY, stages={}, scaling=IDLE, tally={})


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


def beat(redis_url: str) -> None:
    async def act(ledger: Ledger) -> None:
        for role in ROLES:
            await ledger.roles.beat(role, "host-1")

    in_ledger(redis_url, act)


def test_when_all_is_well_there_is_nothing_to_say() -> None:
    assert judge(WELL) == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("waiting", "state"),
    [({}, State.WARN), ({"backlog": 1}, State.FAIL), ({"awaited": 1}, State.FAIL)],
    ids=["idle", "backlog", "awaited"],
)
def test_a_missing_role_fails_only_while_work_waits(role: str, waiting: dict[str, int], state: State) -> None:
    others = [one for one in EVERYBODY if one["role"] != role]
    (problem,) = judge(replace(WELL, roles=others, scaling=IDLE | waiting))
    assert (problem.state, problem.fix) == (state, f"catchlight {role}")


@pytest.mark.parametrize(
    ("facts", "name", "fix"),
    [
        (replace(WELL, scaling=IDLE | {"oldest_due_seconds": 31.0}), "late", "catchlight work --processes 2"),
        (
            replace(WELL, scaling=IDLE | {"nearest_deletion_seconds": 86_399.0}),
            "deletion",
            "catchlight work --processes 2",
        ),
        (replace(WELL, disabled={"crm": "410"}), "hooks", "catchlight hooks enable crm"),
        (replace(WELL, stages={"dead": 2}), "dead", "catchlight replay stage:dead --dry-run"),
        (replace(WELL, forged=20), "refused", "catchlight refused"),
        (replace(WELL, warnings=["CATCHLIGHT_X: odd"]), "settings", "catchlight config show"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_odd_is_a_warning_with_its_command(facts: Facts, name: str, fix: str) -> None:
    (problem,) = judge(facts)
    assert (problem.name, problem.state, problem.fix) == (name, State.WARN, fix)


def test_a_few_forged_callbacks_are_every_days_noise() -> None:
    assert judge(replace(WELL, forged=19)) == []


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


@pytest.mark.parametrize("seconds", [None, 86_400.0])
def test_a_deletion_that_is_far_away_is_no_problem(seconds: float | None) -> None:
    assert judge(replace(WELL, scaling=IDLE | {"nearest_deletion_seconds": seconds})) == []


def test_the_worst_comes_first() -> None:
    facts = replace(
        WELL, roles=EVERYBODY[:2], scaling=IDLE | {"backlog": 1}, stages={"dead": 1}, warnings=["w"]
    )
    assert [problem.state for problem in judge(facts)] == [State.FAIL, State.WARN, State.WARN]


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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0.0 s"),
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.99, "10.0 s"),
        (42, "42 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_199, "120 min"),
        (7_200, "2 h"),
        (172_800, "2 d"),
    ],
)
def test_a_span_is_told_as_a_person_would(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_what_never_was_is_not_ago() -> None:
    assert ago(None, 100) is None
    assert ago(88, 100) == "12 s ago"
