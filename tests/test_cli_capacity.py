"""`capacity` as a command: one screen for people, one object for programs, and exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import keys
from service.capacity import Bound
from service.effort import Effort
from service.ledger.roles import Said
from tests.commandline import CommandLine, accept, completed, in_ledger
from tests.test_docs import RUNBOOK

if TYPE_CHECKING:
    from pathlib import Path

    from service.ledger import Ledger

NOBODY = "redis://127.0.0.1:1/0"
QUICK = ("--over", "0.2")
EFFORT = Effort(15.0, 60.0, 0.5, 0.4, 0.1, 0.002, {"in_flight": 3.5}, {"predictions": 2.25, "bytes": 2e6})


def beat(redis_url: str, *instances: str, effort: Effort | None = EFFORT) -> None:
    async def act(ledger: Ledger) -> None:
        await ledger.history.keep()
        for instance in instances:
            said = Said(3, "", 64, 5 * 10**9, effort, 0.001) if effort else Said()
            await ledger.roles.beat("work", instance, said=said)
            # A command may be slow to start.
            await ledger.redis.expire(f"{keys.ROLE}work:{instance}", 600)

    in_ledger(redis_url, act)


def test_one_screen_says_what_bounds_it_and_what_each_process_does(tmp_path: Path, redis_url: str) -> None:
    beat(redis_url, "w1", "w2")
    ran = CommandLine(tmp_path, redis_url).run("capacity", *QUICK)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "bound by  nothing: idle: nothing arrives and nothing waits"
    assert lines[1] == "more?     neither another process nor another machine would help"
    assert any(line.startswith("disk      5.0 GB free, full in 21 min") for line in lines)
    assert [line.split()[:3] for line in lines if "w1" in line] == [["work", "w1", "50%"]]
    assert lines[-1].split()[:4] == ["work", "all", "of", "them"]
    assert lines[-1].split()[-5:] == ["4.50", "0.00", "4.00", "0.00", "-"], "predictions, outputs, MB, …"


def test_json_has_the_verdict_and_the_figures(tmp_path: Path, redis_url: str) -> None:
    beat(redis_url, "w1")
    accept(redis_url, completed("p1"))
    found = CommandLine(tmp_path, redis_url).run("capacity", *QUICK, "--json").json
    assert list(found) == ["verdict", "processes", "waiting", "per_second", "redis", "disk"]
    assert found["verdict"]["bound"] == "nothing"
    assert found["waiting"]["waiting"] == 1
    assert found["per_second"]["arriving"] > 0
    assert found["per_second"]["bytes"] == 2_000_000
    assert found["processes"][0]["effort"]["per_second"]["predictions"] == 2.25
    assert found["redis"]["predictions"] == 1


def test_a_process_that_tells_nothing_has_its_row(tmp_path: Path, redis_url: str) -> None:
    beat(redis_url, "older", effort=None)
    ran = CommandLine(tmp_path, redis_url).run("capacity", *QUICK)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[-1].split() == ["work", "older", *["-"] * 10]


def test_without_redis_it_is_exit_4(tmp_path: Path) -> None:
    ran = CommandLine(tmp_path, NOBODY).run("capacity", *QUICK)
    assert ran.code == 4
    assert ran.err.startswith("error: Redis does not answer")


def test_the_runbook_explains_every_bound() -> None:
    section = RUNBOOK.read_text().partition("\n## Capacity\n")[2].partition("\n## ")[0]
    assert [bound for bound in Bound if f"`{bound}`" not in section] == []


def test_of_several_shards_each_has_its_screen_and_one_that_is_away_hides_no_other(
    tmp_path: Path, redis_url: str
) -> None:
    beat(redis_url, "w1")
    (tmp_path / "catchlight.toml").write_text(
        f'[[shards]]\nname = "a"\nredis_url = "{NOBODY}"\n[[shards]]\nname = "b"\nredis_url = "{redis_url}"\n'
    )
    cli = CommandLine(tmp_path, None)
    ran = cli.run("capacity", *QUICK, "--json")
    assert ran.code == 4
    assert list(ran.json["shards"]) == ["a", "b"]
    assert ran.json["shards"]["a"]["error"].startswith("Redis does not answer")
    assert ran.json["shards"]["b"]["verdict"]["bound"] == "nothing"
    shown = cli.run("capacity", *QUICK)
    assert shown.code == 4
    assert "shard b\nbound by  nothing" in shown.out
    assert cli.run("--shard", "b", "capacity", *QUICK).code == 0
