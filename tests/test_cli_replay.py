"""`replay`: one at once, many only after a look and a yes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from service.cli.replay import From, _replay, exit_code
from service.errors import Conflict, LedgerDown
from service.ledger import Commit
from service.prediction import Stage
from tests.commandline import DELIVERY, CommandLine, accept, awaited, completed, dead, end, stage, told

if TYPE_CHECKING:
    from pathlib import Path

    from service.operator import Operator


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


def test_a_single_id_is_replayed_at_once(cli: CommandLine, redis_url: str) -> None:
    dead(redis_url, "p1")
    ran = cli.run("replay", "p1")
    assert (ran.code, ran.out, ran.err) == (0, "", "p1: replayed from fetch\n")
    assert stage(redis_url, "p1") is Stage.ACCEPTED


def test_what_has_not_ended_is_not_replayed(cli: CommandLine, redis_url: str) -> None:
    accept(redis_url, completed("p1"))
    ran = cli.run("replay", "p1")
    assert ran.code == 1
    assert ran.err == "error: p1 is accepted: only a prediction that has ended can be replayed\n"


@pytest.mark.parametrize(("options", "code"), [([], 2), (["--dry-run"], 0), (["--dry-run", "--yes"], 0)])
def test_a_query_only_shows_what_it_would_touch(
    options: list[str], code: int, cli: CommandLine, redis_url: str
) -> None:
    dead(redis_url, "p1", "p2")
    ran = cli.run("replay", "stage:dead", *options, "--json")
    assert ran.code == code
    assert (ran.json["matched"], ran.json["replayed"]) == (2, [])
    assert ran.json["oldest"] <= ran.json["newest"]
    assert "2 that have ended match" in ran.err
    assert ("--yes" in ran.err) is (code == 2)
    assert stage(redis_url, "p1") is Stage.DEAD


def test_a_query_with_yes_replays_all_that_ended(cli: CommandLine, redis_url: str) -> None:
    dead(redis_url, "p1", "p2", "q1")
    accept(redis_url, awaited("p3"))
    ran = cli.run("replay", "id:p*", "since:1h", "--yes", "--json")
    assert ran.code == 0
    assert sorted(ran.json["replayed"]) == ["p1", "p2"]
    assert [stage(redis_url, id_) for id_ in ("p1", "p2", "p3", "q1")] == [
        Stage.ACCEPTED,
        Stage.ACCEPTED,
        Stage.AWAITED,
        Stage.DEAD,
    ]


def test_a_query_that_finds_nothing_is_no_failure(cli: CommandLine) -> None:
    ran = cli.run("replay", "stage:dead", "--yes")
    assert (ran.code, ran.err) == (0, "nothing that has ended matches\nreplayed 0 of 0 from fetch\n")


def test_a_dry_run_of_one_id_touches_nothing(cli: CommandLine, redis_url: str) -> None:
    dead(redis_url, "p1")
    assert cli.run("replay", "p1", "--dry-run").err == "p1: would be replayed from fetch\n"
    assert stage(redis_url, "p1") is Stage.DEAD


def test_a_wrong_query_is_exit_2(cli: CommandLine) -> None:
    assert cli.run("replay", "stage:gone", "--yes").code == 2


def test_from_deliver_sends_again_and_fetches_nothing(cli: CommandLine, redis_url: str) -> None:
    told(redis_url, "p1")
    assert cli.run("replay", "p1", "--from", "deliver").code == 0
    delivery = cli.run("deliveries", "show", DELIVERY, "--json").json
    assert (delivery["state"], delivery["attempts"]) == ("pending", 0)
    assert stage(redis_url, "p1") is Stage.DONE


def test_a_single_replay_tells_machines_what_it_did(cli: CommandLine, redis_url: str) -> None:
    end(redis_url, "p1", Commit(Stage.DONE, outputs=[]))
    assert cli.run("replay", "p1", "--json").json == {"matched": 1, "replayed": ["p1"], "failed": []}


class Scripted:
    """An operator whose answers are written down beforehand."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)

    async def replay(self, *_: object) -> None:
        if answer := self.answers.pop(0):
            raise answer


def replayed(*answers: Exception | None) -> tuple[list[str], list[dict[str, str]]]:
    found: list[dict[str, Any]] = [{"id": f"p{n}", "source": "main"} for n in (1, 2, 3)]
    return asyncio.run(_replay(cast("Operator", Scripted(*answers)), found, From.FETCH))


def test_one_that_went_on_its_way_meanwhile_leaves_the_others_replayed() -> None:
    done, failed = replayed(None, Conflict("is on its way"), None)
    assert (done, failed) == (["p1", "p3"], [{"id": "p2", "error": "is on its way"}])
    assert exit_code(done, failed) == 5


def test_when_redis_goes_half_way_the_rest_is_named_and_not_tried() -> None:
    done, failed = replayed(None, LedgerDown("Redis does not answer"))
    assert (done, [one["id"] for one in failed]) == (["p1"], ["p2", "p3"])


def test_when_redis_is_gone_at_once_nothing_is_partly_done() -> None:
    with pytest.raises(LedgerDown):
        replayed(LedgerDown("Redis does not answer"))


@pytest.mark.parametrize(("done", "failed", "code"), [(2, 0, 0), (0, 0, 0), (1, 1, 5), (0, 2, 1)])
def test_the_exit_code_says_how_much_was_done(done: int, failed: int, code: int) -> None:
    assert exit_code(["p"] * done, [{}] * failed) == code
