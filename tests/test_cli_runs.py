"""`runs`: listed and shown, carried on after Ctrl-C, run again; and what each command's exit code says."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from service import runs
from service.ledger.runs import Kind, Order
from service.prediction import Ref, Stage
from tests.commandline import DELIVERY, SOURCE, CommandLine, dead, in_ledger, stage, told
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


def planned(redis_url: str, order: Order) -> str:
    return in_ledger(redis_url, lambda ledger: runs.plan(ledger, order)).id


def test_a_plan_is_listed_shown_and_carried_out(cli: CommandLine, redis_url: str) -> None:
    dead(redis_url, "p1", "p2")
    run_id = cli.run("replay", "stage:dead", "--dry-run", "--json").json["id"]
    in_ledger(redis_url, lambda ledger: ledger.predictions.replay(Ref(SOURCE, "p2")))
    assert [item["state"] for item in cli.run("runs", "ls", "--json").json["items"]] == ["planned"]

    ran = cli.run("runs", "resume", run_id)

    assert (ran.code, ran.out) == (5, "")
    assert ran.err == (f"{run_id}: 1 of 2 done, 1 skipped\nwavespeed:p2: skipped: is accepted: on its way\n")
    assert stage(redis_url, "p1") is Stage.ACCEPTED
    shown = cli.run("runs", "show", run_id).out
    assert "became accepted" in shown
    assert "is accepted: on its way" in shown


def test_ctrl_c_says_how_to_go_on(cli: CommandLine, redis_url: str) -> None:
    dead(redis_url, "p1", "p2", "p3")
    process = cli.start("replay", "stage:dead", "--rate", "0.2", "--yes")

    def begun() -> bool:
        found = in_ledger(redis_url, lambda ledger: ledger.runs.latest(1))
        return [run.position for run in found] == [1]

    wait_until(begun, 30, "the first of them is done")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted after 1; `catchlight runs resume run_" in err
    assert "Traceback" not in err


def test_failures_are_run_again(cli: CommandLine, redis_url: str) -> None:
    told(redis_url, "p1")
    run_id = planned(redis_url, Order(Kind.RETRY, "state:dead", "deliver"))
    nothing = cli.run("runs", "again", run_id, "--yes")
    assert (nothing.code, nothing.err) == (0, "nothing that has ended matches\n")
    ran = cli.run("deliveries", "retry", "state:dead", "hook:crm", "--yes", "--json")
    assert (ran.code, ran.json["done"], ran.json["became"]) == (0, 1, {"pending": 1})
    assert json.loads(cli.run("deliveries", "show", DELIVERY, "--json").out)["state"] == "pending"


@pytest.mark.parametrize("command", [["show"], ["resume"], ["again", "--yes"]])
def test_an_unknown_run_is_exit_3(command: list[str], cli: CommandLine) -> None:
    ran = cli.run("runs", command[0], "run_no", *command[1:])
    assert (ran.code, ran.err) == (3, "error: no run run_no\n")
