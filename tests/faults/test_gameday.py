"""The game day's own machinery, and one whole drill of it; all six: `python -m tests.faults.gameday`."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.faults.gameday.__main__ import drills, main
from tests.faults.gameday.drill import Course
from tests.faults.gameday.drills import DRILLS
from tests.faults.gameday.runbook import UnclearError, filled, steps
from tests.faults.gameday.watch import FOR, RULES, WINDOW, shortened
from tests.test_docs import RUNBOOK

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
BY_NAME = {drill.name: drill for drill in DRILLS}
SECTION = """
### CatchlightNoWorker

- Symptom: none.
- Command: `catchlight work`. Mend it, then `catchlight replay ID`.
- Verification: `catchlight status` says so.

### CatchlightNoSweeper
"""


def test_the_rules_are_shortened_in_their_waits_and_nowhere_else() -> None:
    short = yaml.safe_load(shortened(RULES.read_text()))["groups"][0]["rules"]
    for rule, was in zip(short, SHIPPED, strict=True):
        assert rule.get("for") == (FOR if "for" in was else None)
        assert rule["expr"] == re.sub(r"\[\w+\]", f"[{WINDOW}]", was["expr"])
        assert rule | {"for": "", "expr": ""} == was | {"for": "", "expr": ""}


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: str(drill.name))
def test_the_runbook_has_the_steps_of_each_drill(drill: Any) -> None:
    (rule,) = (rule for rule in SHIPPED if rule["alert"] == drill.alert)
    command = rule["annotations"]["command"].replace("{{ $labels.hook }}", "NAME")
    found = steps(rule["annotations"]["runbook_url"], command, drill.outside)
    assert found.before[0] == command
    assert found.verification
    assert set(drill.codes) <= {*found.before}


def test_the_runbook_lists_the_drills() -> None:
    rows = [f"| `{drill.name}` | {drill.about} | `{drill.alert}` |" for drill in DRILLS]
    assert "\n".join(rows) in RUNBOOK.read_text()


def test_without_a_name_all_six_are_run_and_with_one_that_alone() -> None:
    assert drills(None) == list(DRILLS)
    assert len(DRILLS) == 6
    assert drills("cdn-403") == [BY_NAME["cdn-403"]]


def test_the_list_names_each_drill_and_a_stranger_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(BY_NAME)
    with pytest.raises(SystemExit, match="2"):
        main(["no-such-drill"])


def test_what_is_done_outside_parts_the_commands() -> None:
    found = steps("deploy/README.md#catchlightnoworker", "catchlight work", "Mend it", SECTION)
    assert found == (["catchlight work"], ["catchlight replay ID"], ["catchlight status"])


@pytest.mark.parametrize(
    ("url", "command", "outside"),
    [
        ("x#catchlightnoworker", "catchlight sweep", ""),
        ("x#catchlightnoworker", "catchlight work", "Start Redis"),
        ("x#catchlightstuck", "catchlight work", ""),
        ("x#catchlightnosweeper", "catchlight sweep", ""),
    ],
    ids=["another command", "other words", "no section", "nothing in it"],
)
def test_a_runbook_that_says_something_else_is_seen(url: str, command: str, outside: str) -> None:
    with pytest.raises(UnclearError):
        steps(url, command, outside, SECTION)


def test_places_are_filled_from_what_the_command_before_said() -> None:
    id_ = "0" * 32
    assert filled("catchlight explain ID", {}, f"| {id_} | done |") == f"catchlight explain {id_}"
    assert filled("catchlight runs resume RUN", {}, "`catchlight runs resume run_1f` acts") == (
        "catchlight runs resume run_1f"
    )
    assert filled("catchlight hooks test NAME", {"NAME": "crm"}, "") == "catchlight hooks test crm"
    with pytest.raises(UnclearError):
        filled("catchlight explain ID", {}, "nothing is there")


@pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("redis-server") is None,
    reason="prometheus or redis-server is missing: apt-get install prometheus redis-server",
)
def test_without_workers_the_alert_leads_to_the_command_that_ends_it(tmp_path: Path) -> None:
    said: list[str] = []
    report = Course(BY_NAME["no-workers"], tmp_path / "drill", lambda _, what: said.append(what)).run()
    assert report.passed, report.problem
    assert report.commands == ["catchlight work", "catchlight status"]
    assert report.predictions >= 8
    assert any("exit 4" in what for what in said)
