"""The recipes of "Updates" in the runbook, run against stand-ins of the tools: what is replaced, and when."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests import fronts
from tests.test_deploy_files import COMPOSE, DEPLOY, UNITS
from tests.test_docs import RUNBOOK, blocks

if TYPE_CHECKING:
    from pathlib import Path

UPDATES = RUNBOOK.read_text().partition("\n## Updates\n")[2].partition("\n## ")[0]
TOOLS = ("systemctl", "docker", "kubectl", "catchlight", "curl")
_STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$(dirname "$0")/said"
# A receiver is not ready at once.
[ "$(basename "$0")" != curl ] || [ "$(grep -c -- "$*" "$(dirname "$0")/said")" -gt 1 ]
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    for name in TOOLS:
        (tmp_path / name).write_text(_STAND_IN)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def said(tools: Path, word: str) -> list[str]:
    """What the recipe with that word asks of the tools."""
    (recipe,) = (block for block in blocks(UPDATES) if word in block)
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "new": "9.9.9"}
    subprocess.run(["bash", "-euo", "pipefail", "-c", recipe], env=environment, check=True, timeout=20)
    return (tools / "said").read_text().splitlines()


def test_with_systemd_the_second_receiver_is_replaced_when_the_first_is_ready(tools: Path) -> None:
    found = said(tools, "systemctl")
    restarted = [unit for line in found for unit in re.findall(r"catchlight-[\w@*]+", line)]
    assert {re.sub(r"@.*", "@", unit) + ".service" for unit in restarted} == {path.name for path in UNITS}
    first, second = (f"localhost:{port}/livez" for port in fronts.SHIPPED_PORTS)
    asked = [line.split()[-1] for line in found if "serve@" in line or line.startswith("curl")]
    assert asked == ["catchlight-serve@8080", first, first, "catchlight-serve@8081", second, second]
    assert found[-2:] == ["catchlight doctor", "catchlight status"]


def test_with_containers_every_service_of_ours_is_replaced_and_waited_for(tools: Path) -> None:
    _, *ups = said(tools, "docker")
    assert all("up -d --no-deps --wait" in line for line in ups)
    replaced = [line.split()[-1] for line in ups]
    ours = {name for name, service in COMPOSE["services"].items() if service["image"] == "catchlight"}
    assert set(replaced) == ours
    assert replaced[:2] == ["sweep", "work"]


def test_the_receivers_in_compose_stand_where_the_fronts_look_for_them() -> None:
    serving = [one for one in COMPOSE["services"].values() if one.get("command") == ["serve"]]
    assert [one["ports"] for one in serving] == [[f"127.0.0.1:{port}:8080"] for port in fronts.SHIPPED_PORTS]


def test_in_kubernetes_every_deployment_is_replaced_and_waited_for(tools: Path) -> None:
    found = said(tools, "kubectl")
    base = [
        one
        for path in (DEPLOY / "kustomize" / "base").glob("*.yaml")
        for one in yaml.safe_load_all(path.read_text())
    ]
    deployments = {one["metadata"]["name"]: one for one in base if one.get("kind") == "Deployment"}
    names = [match for line in found for match in re.findall(r"deployment/([\w-]+)", line)]
    assert set(names) == set(deployments)
    assert names[::2] == names[1::2], "each is waited for before the next"
    assert names[-1] == "catchlight-serve"
    assert deployments["catchlight-serve"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
