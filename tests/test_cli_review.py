"""`review`: the queue of held outputs, and deciding about one."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import pytest

from service.ledger import Commit
from service.prediction import Disposition, Ref, Stage
from tests.builders import output
from tests.commandline import SOURCE, CommandLine, end, in_ledger, stage
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from service.ledger import Ledger

HELD, RELEASED, REJECTED = Disposition.HELD, Disposition.RELEASED, Disposition.REJECTED


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


def held(redis_url: str, *ids: str) -> None:
    for id_ in ids:
        end(redis_url, id_, Commit(Stage.DONE, outputs=[output(0, HELD, nsfw="unknown")]))


def worked(redis_url: str, id_: str, disposition: Disposition, decision: int = 1) -> None:
    """As a worker commits what was decided."""

    async def act(ledger: Ledger) -> None:
        ref = Ref(SOURCE, id_)
        record = await ledger.predictions.lease(ref, 10, "worker-1")
        assert record is not None
        commit = Commit(Stage.DONE, outputs=[output(0, disposition, decision=decision)])
        assert await ledger.predictions.commit(ref, Stage.WORKING, record.token, commit)

    in_ledger(redis_url, act)


def test_what_is_held_is_listed_as_the_api_does(cli: CommandLine, redis_url: str) -> None:
    held(redis_url, "p1", "p2", "p3")
    found = cli.run("review", "ls", "--limit", "2", "--json").json
    assert [item["id"] for item in found["items"]] == ["p3", "p2"]
    rest = cli.run("review", "ls", "--cursor", found["next"], "--json").json
    assert ([item["id"] for item in rest["items"]], rest["next"]) == (["p1"], None)
    assert [item["id"] for item in cli.run("review", "ls", "id:p2", "--json").json["items"]] == ["p2"]


def test_a_list_for_people_shows_what_they_need_to_decide(cli: CommandLine, redis_url: str) -> None:
    held(redis_url, "p1", "p2")
    shown = cli.run("review", "ls", "--limit", "1")
    for word in ("p2", "0", "vendor/model", "image/png", "1000"):
        assert word in shown.out.split()
    assert "more: --cursor" in shown.err


@pytest.mark.parametrize(
    ("command", "becomes", "next_"),
    [("approve", RELEASED, "moves it to its normal place"), ("reject", REJECTED, "stays under held/")],
)
def test_a_decision_says_what_happens_next_and_can_be_undone(
    cli: CommandLine, redis_url: str, command: str, becomes: Disposition, next_: str
) -> None:
    held(redis_url, "p1")
    ran = cli.run("review", command, "p1", "0", "--why", "looks fine", "--by", "ada")
    assert (ran.code, ran.out) == (0, "")
    assert next_ in ran.err
    assert stage(redis_url, "p1") == Stage.ACCEPTED
    worked(redis_url, "p1", becomes)
    undone = cli.run("review", "undo", "p1", "0", "--json")
    assert "holds it again" in undone.err
    (review,) = undone.json["reviews"]
    assert (review["decision"], review["reason"]) == ("undo", None)
    assert review["by"] == pwd.getpwuid(os.getuid()).pw_name, "who is logged in"


def test_show_and_explain_tell_who_decided_and_why(cli: CommandLine, redis_url: str) -> None:
    held(redis_url, "p1")
    assert "`catchlight review approve p1 INDEX` releases it." in cli.run("explain", "p1").out
    cli.run("review", "approve", "p1", "0", "--why", "looks fine", "--by", "ada")
    worked(redis_url, "p1", RELEASED)
    (review,) = cli.run("show", "p1", "--json").json["reviews"]
    assert (review["by"], review["reason"]) == ("ada", "looks fine")
    assert {"approve", "ada"} <= set(cli.run("show", "p1").out.split())
    assert "a person reviewed it: 0 approved by ada: looks fine " in cli.run("explain", "p1").out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["approve", "nobody", "0"], 3, "no prediction nobody"),
        (["approve", "p1", "7"], 3, "p1 has no output 7"),
        (["undo", "p1", "0"], 1, "output 0 of p1 is held"),
        (["approve", "p1", "x"], 2, "INDEX"),
        (["approve", "p1", "-1"], 2, ""),
        (["approve", "p1", "0", "--why", "x" * 201], 2, "reason"),
        (["approve", "p1", "0", "--by", ""], 2, "by"),
        (["ls", "colour:red"], 2, "colour"),
        (["ls", "--cursor", "x"], 2, "cursor"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_decided(
    cli: CommandLine, redis_url: str, arguments: list[str], code: int, says: str
) -> None:
    held(redis_url, "p1")
    ran = cli.run("review", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert stage(redis_url, "p1") == Stage.DONE


def test_what_is_on_its_way_is_a_conflict(cli: CommandLine, redis_url: str) -> None:
    held(redis_url, "p1")
    assert cli.run("review", "approve", "p1", "0").code == 0
    in_ledger(redis_url, lambda ledger: ledger.predictions.lease(Ref(SOURCE, "p1"), 10, "worker"))
    ran = cli.run("review", "reject", "p1", "0")
    assert ran.code == 1
    assert "once it has ended" in ran.err


@pytest.mark.parametrize(
    ("disposition", "code", "says"),
    [(RELEASED, 0, "output 0 is released"), (HELD, 1, "could not be carried out")],
)
def test_waiting_ends_with_what_became_of_it(
    cli: CommandLine, redis_url: str, disposition: Disposition, code: int, says: str
) -> None:
    held(redis_url, "p1")
    waiting = cli.start("review", "approve", "p1", "0", "--wait")
    wait_until(lambda: stage(redis_url, "p1") == Stage.ACCEPTED)
    worked(redis_url, "p1", disposition, decision=int(code == 0))
    out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (code, "")
    assert says in err
