"""`replay`: one at once, many only after a look and a yes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.ledger import Commit
from service.prediction import Stage
from tests.commandline import DELIVERY, CommandLine, accept, awaited, completed, dead, end, stage, told

if TYPE_CHECKING:
    from pathlib import Path


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
    assert (ran.json["total"], ran.json["position"], ran.json["state"]) == (2, 0, "planned")
    assert ran.json["oldest"] <= ran.json["newest"]
    assert "2 that have ended match" in ran.err
    assert ("--yes" in ran.err) is (code == 2)
    assert stage(redis_url, "p1") is Stage.DEAD


def test_a_query_with_yes_replays_all_that_ended(cli: CommandLine, redis_url: str) -> None:
    dead(redis_url, "p1", "p2", "q1")
    accept(redis_url, awaited("p3"))
    ran = cli.run("replay", "id:p*", "since:1h", "--yes", "--json")
    assert ran.code == 0
    assert (ran.json["done"], ran.json["state"], ran.json["became"]) == (2, "ended", {"accepted": 2})
    assert [stage(redis_url, id_) for id_ in ("p1", "p2", "p3", "q1")] == [
        Stage.ACCEPTED,
        Stage.ACCEPTED,
        Stage.AWAITED,
        Stage.DEAD,
    ]


def test_a_query_that_finds_nothing_is_no_failure(cli: CommandLine) -> None:
    ran = cli.run("replay", "stage:dead", "--yes")
    assert (ran.code, ran.err) == (0, "nothing that has ended matches\n")


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
    assert cli.run("replay", "p1", "--json").json == {
        "id": "p1",
        "source": "wavespeed",
        "from": "fetch",
        "replayed": True,
    }


def test_a_rate_that_cannot_be_is_exit_2(cli: CommandLine, redis_url: str) -> None:
    dead(redis_url, "p1")
    ran = cli.run("replay", "stage:dead", "--rate", "0", "--yes")
    assert (ran.code, ran.err.startswith("error: rate: is a number per second")) == (2, True)


def test_a_plan_says_how_long_it_takes(cli: CommandLine, redis_url: str) -> None:
    dead(redis_url, "p1", "p2", "p3")
    ran = cli.run("replay", "stage:dead", "--rate", "0.05", "--dry-run", "--json")
    assert ran.json["seconds"] == 60
    assert "60 s at 0.05 per second" in ran.err


def test_new_ids_make_it_a_new_occasion(cli: CommandLine, redis_url: str) -> None:
    told(redis_url, "p1")
    assert cli.run("replay", "p1", "--from", "deliver", "--new-id").code == 0
    items = cli.run("deliveries", "ls", "--json").json["items"]
    assert [item["state"] for item in items] == ["pending", "dead"]
    assert len({item["event_id"] for item in items}) == 2
    # What was told before is told once more, and not twice.
    assert cli.run("replay", "p1", "--from", "deliver", "--new-id").code == 0
    assert len(cli.run("deliveries", "ls", "--json").json["items"]) == 3
