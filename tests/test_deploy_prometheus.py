"""deploy/prometheus and deploy/grafana: rules fire on what they are for, and all ask for what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from service.cli.table import ROWS
from service.metrics.catalogue import METRICS, Kind
from tests.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "catchlight.json").read_text())
RUNBOOK = (ROOT / "deploy" / "README.md").read_text()
EXPORTED = {
    metric.name + ending
    for metric in METRICS
    for ending in (("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",))
}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus"
)


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def asked_for(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:catchlight|rq)_\w+", expression))


def queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


@needs_promtool
def test_the_rules_are_valid() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "rules.yml")


@needs_promtool
def test_each_alert_fires_on_what_it_is_for_and_not_on_what_is_near_it() -> None:
    promtool("test", "rules", "tests.yml")


def of_shard(series: list[dict[str, str]], shard: str) -> list[dict[str, str]]:
    """The same, as they are when the scrape says whose they are."""
    label = f'shard="{shard}"'
    return [
        one
        | {
            "series": one["series"].replace("{", f"{{{label}, ", 1)
            if "{" in one["series"]
            else f"{one['series']}{{{label}}}"
        }
        for one in series
    ]


@needs_promtool
def test_one_shard_that_is_well_hides_none_that_is_not(tmp_path: Path) -> None:
    """Each alert again, over what makes it fire on one of two shards and keeps it quiet on the other."""
    cases = yaml.safe_load((FOLDER / "tests.yml").read_text())
    by_name = {one["name"]: one for one in cases["tests"]}
    both = []
    for rule in RULES:
        if "absent(" in rule["expr"]:
            continue
        fires, quiet = (by_name[f"{rule['alert']} {what}"] for what in ("fires", "is quiet"))
        series = of_shard(fires["input_series"], "b") + of_shard(quiet["input_series"], "a")
        (asked,) = fires["promql_expr_test"]
        alert = f'ALERTS{{alertname="{rule["alert"]}", alertstate="firing"'
        on_each = [
            asked | {"expr": f'count({alert}, shard="{shard}"}}) or vector(0)', "exp_samples": [sample]}
            for shard, sample in (("b", asked["exp_samples"][0]), ("a", {"labels": "{}", "value": 0}))
        ]
        both.append(fires | {"input_series": series, "promql_expr_test": on_each})
    assert len(both) == len(RULES) - 1
    file = tmp_path / "shards.yml"
    file.write_text(yaml.safe_dump(cases | {"rule_files": [str(FOLDER / "rules.yml")], "tests": both}))
    promtool("test", "rules", str(file))


def test_every_query_of_the_dashboard_is_of_the_shard_that_is_chosen() -> None:
    (shard,) = [one for one in DASHBOARD["templating"]["list"] if one["name"] == "shard"]
    assert shard["allValue"] == ".*", "which is also what has no such label"
    for title, query in queries():
        assert query.count('shard=~"$shard"') == len(re.findall(r"\b(?:catchlight|rq)_\w+", query)), title


@needs_promtool
def test_the_scrape_of_several_shards_is_valid(tmp_path: Path) -> None:
    block = RUNBOOK.partition("\n## Shards\n")[2].partition("```yaml\n")[2].partition("```")[0]
    file = tmp_path / "prometheus.yml"
    file.write_text(block)
    promtool("check", "config", "--syntax-only", str(file))
    (job,) = yaml.safe_load(block)["scrape_configs"]
    assert {one["target_label"] for one in job["relabel_configs"]} == {
        "__param_shard",
        "shard",
        "__address__",
    }


def test_each_alert_has_both_tests() -> None:
    tried = [one["name"] for one in yaml.safe_load((FOLDER / "tests.yml").read_text())["tests"]]
    assert tried == [f"{rule['alert']} {what}" for rule in RULES for what in ("fires", "is quiet")]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_what_there_is_and_leads_to_its_section(rule: dict[str, Any]) -> None:
    assert asked_for(rule["expr"])
    assert asked_for(rule["expr"]) <= EXPORTED
    assert set(rule["annotations"]) == {"summary", "command", "runbook_url"}
    name = rule["alert"]
    assert rule["annotations"]["runbook_url"] == f"deploy/README.md#{name.lower()}"
    section = RUNBOOK.partition(f"\n### {name}\n")[2].partition("\n#")[0]
    for part in ("Symptom", "Cause", "Command", "Verification"):
        assert f"\n- {part}: " in section
    assert rule["annotations"]["command"].replace("{{ $labels.hook }}", "NAME") in section


def test_every_command_of_an_alert_or_of_its_section_is_one_of_ours() -> None:
    told = RUNBOOK.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    said = re.findall(r"`catchlight ([a-z][a-z ]*)", told)
    said += [rule["annotations"]["command"].removeprefix("catchlight ") for rule in RULES]
    known = [row.path for row in ROWS]
    assert [line for line in said if not any(f"{line} ".startswith(f"{path} ") for path in known)] == []


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    assert re.findall(r"^### (Catchlight\w+)$", RUNBOOK, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_every_query_of_the_dashboard_asks_for_what_there_is() -> None:
    assert len(list(queries())) > 30
    wrong = [(title, name) for title, query in queries() for name in asked_for(query) - EXPORTED]
    assert wrong == []
    assert [title for title, query in queries() if not asked_for(query)] == []


@needs_promtool
def test_every_query_of_the_dashboard_can_be_parsed(tmp_path: Path) -> None:
    rules = [{"record": f"catchlight:{n}", "expr": query} for n, (_, query) in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_the_dashboards_panels_do_not_overlap() -> None:
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24


@needs_promtool
def test_the_scrape_configuration_is_valid() -> None:
    # Its token is a secret of the containers: only the syntax can be looked at here.
    promtool("check", "config", "--syntax-only", "prometheus.yml")


OPERATORS = FOLDER / "prometheusrule.yaml"


def rule_of_the_operator() -> str:
    groups = (FOLDER / "rules.yml").read_text().partition("\ngroups:")[2]
    head = (
        "# Written by `uv run python -m tests.test_deploy_prometheus` from rules.yml.\n"
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: catchlight\nspec:\n"
    )
    return head + "".join(f"  {line}\n" for line in f"groups:{groups}".splitlines())


def test_the_operators_rules_are_the_same() -> None:
    assert OPERATORS.read_text() == rule_of_the_operator(), (
        "run: uv run python -m tests.test_deploy_prometheus"
    )


if __name__ == "__main__":
    OPERATORS.write_text(rule_of_the_operator())
