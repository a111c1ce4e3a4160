"""`ls`, `show` and `explain` against a real ledger, and what they say when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.ledger import Commit, Note
from service.prediction import Ref, Stage, Step
from tests.commandline import SOURCE, CommandLine, accept, awaited, completed, dead, end, in_ledger

if TYPE_CHECKING:
    from pathlib import Path

AWAY = "redis://127.0.0.1:1/0"
STORED = {
    "index": 0,
    "disposition": "stored",
    "nsfw": "clean",
    "uri": "file:///outputs/0.png",
    "sha256": "ab",
    "bytes": 3,
    "media_type": "image/png",
}


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    return CommandLine(tmp_path, redis_url)


def test_show_prints_the_object_of_the_api(cli: CommandLine, redis_url: str) -> None:
    end(
        redis_url,
        "p1",
        Commit(Stage.DONE, outputs=[STORED], notes=[Note(Step.STORED, "file:///outputs/0.png")]),
    )
    shown = cli.run("show", "p1", "--json")
    known = in_ledger(redis_url, lambda ledger: ledger.reading.prediction(Ref(SOURCE, "p1")))
    assert (shown.code, shown.err) == (0, "")
    assert shown.json == known
    assert shown.json["outputs"][0]["uri"] == "file:///outputs/0.png"


def test_show_for_people_holds_outputs_timeline_and_metadata(cli: CommandLine, redis_url: str) -> None:
    accept(redis_url, awaited("p1", metadata={"order": 7}))
    end(redis_url, "p1", Commit(Stage.DONE, outputs=[STORED]))
    shown = cli.run("show", "p1").out
    for part in ("metadata.order", "image/png", "called_back", "worker-1"):
        assert part in shown


@pytest.mark.parametrize("command", [["show"], ["show", "--json"], ["explain"], ["replay"]])
def test_an_unknown_id_is_exit_3(command: list[str], cli: CommandLine) -> None:
    ran = cli.run(*command, "nobody")
    assert (ran.code, ran.out, ran.err) == (3, "", "error: no prediction nobody\n")


def test_an_impossible_id_is_exit_2(cli: CommandLine) -> None:
    ran = cli.run("show", "../x")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: id: must be")


@pytest.mark.parametrize("command", [["show", "p1"], ["ls"], ["explain", "p1"], ["deliveries", "ls"]])
def test_redis_away_is_exit_4_in_one_sentence(command: list[str], cli: CommandLine) -> None:
    ran = cli.run(*command, redis_url=AWAY)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("error: Redis does not answer")
    assert ran.err.count("\n") == 1


def test_without_any_redis_the_setting_is_named(tmp_path: Path) -> None:
    ran = CommandLine(tmp_path, None).run("ls")
    assert ran.code == 2
    assert "CATCHLIGHT_REDIS_URL" in ran.err
    assert "catchlight up" in ran.err


def test_a_running_up_is_found_by_what_it_wrote_down(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / ".catchlight").mkdir()
    (tmp_path / ".catchlight" / "embedded.url").write_text(redis_url + "\n")
    accept(redis_url, completed("p1"))
    assert CommandLine(tmp_path, None).run("ls", "--json").json["items"][0]["id"] == "p1"


def test_an_up_that_is_gone_is_suspected(tmp_path: Path) -> None:
    (tmp_path / ".catchlight").mkdir()
    (tmp_path / ".catchlight" / "embedded.url").write_text(AWAY)
    ran = CommandLine(tmp_path, None).run("show", "p1")
    assert ran.code == 4
    assert "is `catchlight up` running in this folder?" in ran.err


def test_a_list_is_paged_newest_first(cli: CommandLine, redis_url: str) -> None:
    accept(redis_url, completed("p1"), completed("p2"), completed("p3"))
    first = cli.run("ls", "--limit", "2", "--json").json
    second = cli.run("ls", "--limit", "2", "--cursor", first["next"], "--json").json
    assert [item["id"] for item in first["items"] + second["items"]] == ["p3", "p2", "p1"]
    assert second["next"] is None


def test_all_words_of_a_query_must_hold(cli: CommandLine, redis_url: str) -> None:
    dead(redis_url, "p1")
    accept(redis_url, completed("p2"), awaited("q1"))
    listed = cli.run("ls", "id:p*", "stage:dead", "since:1h", "--json")
    assert [item["id"] for item in listed.json["items"]] == ["p1"]


def test_a_wrong_query_points_at_the_word(cli: CommandLine) -> None:
    ran = cli.run("ls", "stage:gone")
    assert ran.code == 2
    assert "`stage:gone`" in ran.err


def test_a_list_for_people_says_how_to_go_on(cli: CommandLine, redis_url: str) -> None:
    accept(redis_url, completed("p1"), completed("p2"))
    ran = cli.run("ls", "--limit", "1")
    assert "p2" in ran.out
    assert ran.err.startswith("more: --cursor ")


def test_a_strangers_words_do_not_steer_the_terminal(cli: CommandLine, redis_url: str) -> None:
    accept(redis_url, completed("p1", "v/\x1b[2J\nred"))
    for command in (["ls"], ["show", "p1"], ["explain", "p1"], ["show", "p1", "--json"]):
        assert "\x1b" not in cli.run(*command).out


def test_explain_tells_the_story(cli: CommandLine, redis_url: str) -> None:
    dead(redis_url, "p1")
    told = cli.run("explain", "p1").out
    assert told.startswith("p1 of vendor/model: called back ")
    assert "; dead " in told
    assert "It is dead (outputs_bad: truncated)." in told
    assert "`catchlight replay p1` tries again." in told
