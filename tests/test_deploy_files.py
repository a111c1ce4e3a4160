"""deploy/: what containers, Kubernetes and systemd are given is valid, and says what our code says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from service.cli.table import ROWS
from service.settings.sources import _IN_FILES, _VARIABLES
from tests import locks
from tests.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = ROOT / "deploy"
TOOLS = Path(sys.executable).parent
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
OVERLAYS = ("dev", "prod", "keda", "observability")
ROLES = {"serve", "work", "sweep"}
KNOWN = {*_VARIABLES, *_IN_FILES, "CATCHLIGHT_CONFIG"}
KUBERNETES = "1.32"
EXPOSURE_MOST = 20
"""Of systemd's own 100: 13 by now, what remains is the network."""

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is missing")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing"
)


def said_by(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_dockerfile_is_clean() -> None:
    assert said_by(TOOLS / "hadolint", DEPLOY / "Dockerfile") == ""


def test_the_image_is_made_of_what_there_is_pinned_by_hash_and_runs_as_nobody_in_particular() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [line.split()[1:-1] for line in re.findall(r"^COPY (?!--from).*$", text, re.MULTILINE)]
    assert [path for paths in copied for path in paths if not list(ROOT.glob(path))] == []
    kept = set((DEPLOY / "Dockerfile.dockerignore").read_text().splitlines())
    assert {f"!{path}" for paths in copied for path in paths} <= kept
    assert "--require-hashes" in text
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER \d+:\d+$", last, re.MULTILINE)
    assert 'ENTRYPOINT ["catchlight"]' in last


def test_what_an_extra_is_locked_to_is_what_the_rest_is_locked_to() -> None:
    base = locks.pins(locks.LOCK.read_text())
    found = sorted(DEPLOY.glob("requirements-*.lock"))
    assert {path.stem.removeprefix("requirements-") for path in found} == set(locks.extras())
    for path in found:
        text = path.read_text()
        assert {name: pin for name, pin in locks.pins(text).items() if name in base} == base
        assert len(locks.pins(text)) > len(base)
        assert "://" not in text


def test_compose_fits_its_schema() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    assert "ok" in said_by(TOOLS / "check-jsonschema", *schema, DEPLOY / "compose.yaml")


def test_each_role_in_compose_is_a_command_with_settings_and_secrets_that_there_are() -> None:
    services = COMPOSE["services"]
    assert set(services) >= ROLES
    for role in ROLES:
        service = services[role]
        assert service["command"] == [role]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "no-new-privileges:true" in service["security_opt"]
        assert set(service["environment"]) <= KNOWN
        in_files = {name for name in service["environment"].values() if str(name).startswith("/run/secrets/")}
        assert {name.removeprefix("/run/secrets/") for name in in_files} == set(service["secrets"])
    asked = {secret for service in services.values() for secret in service.get("secrets", ())}
    assert asked == set(COMPOSE["secrets"])
    assert services["redis"]["networks"] == ["inside"]
    grace = {int(service["stop_grace_period"].removesuffix("s")) for service in map(services.get, ROLES)}
    assert min(grace) > int(services["work"]["environment"]["CATCHLIGHT_GRACE"].removesuffix("s"))


def test_redis_in_compose_and_in_the_overlay_is_as_durable_as_its_configuration() -> None:
    conf = [
        line.split(" ", 1) for line in (DEPLOY / "redis.conf").read_text().splitlines() if line[:1].isalpha()
    ]
    wanted = {name: value.strip('"') for name, value in conf}
    compose = " ".join(COMPOSE["services"]["redis"]["command"])
    overlay = (DEPLOY / "kustomize/overlays/dev/redis.yaml").read_text().replace('"', "").replace(",", "")
    for name in ("appendonly", "appendfsync", "maxmemory-policy"):
        assert f"--{name} {wanted[name]}" in compose
        assert f"--{name} {wanted[name]}" in overlay


def unit(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text().splitlines():
        name, mark, value = line.partition("=")
        if mark and not line.startswith("#"):
            yield name, value


def variables(path: Path) -> dict[str, str]:
    lines = [value.split() for name, value in unit(path) if name == "Environment"]
    return dict(one.split("=", 1) for line in lines for one in line)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_knows_our_settings_and_hands_over_each_secret_that_it_names(path: Path) -> None:
    assert set(variables(path)) <= KNOWN
    handed = {value.partition(":")[0] for name, value in unit(path) if name == "LoadCredential"}
    named = {value.removeprefix("%d/") for value in variables(path).values() if value.startswith("%d/")}
    assert handed == named
    assert dict(unit(path))["ExecStart"].split()[1:] == [re.sub(r"catchlight-|@", "", path.stem)]


@needs_systemd
def test_the_units_are_valid_and_let_their_processes_do_little(tmp_path: Path) -> None:
    ours = TOOLS / "catchlight"
    for path in UNITS:
        text = path.read_text().replace("/opt/catchlight/bin/catchlight", str(ours))
        (tmp_path / path.name).write_text(text)
    copies = sorted(tmp_path.iterdir())
    assert said_by("systemd-analyze", "verify", *copies) == ""
    for copy in copies:
        told = said_by("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MOST}", copy)
        assert "Overall exposure level" in told


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_renders_to_what_kubernetes_takes(overlay: str, tmp_path: Path) -> None:
    text = said_by("kubectl", "kustomize", DEPLOY / "kustomize/overlays" / overlay)
    file = tmp_path / "rendered.yaml"
    file.write_text(text)
    said_by(TOOLS / "kubernetes-validate", "-k", KUBERNETES, "--strict", "--quiet", "--no-warn", file)
    found = list(yaml.safe_load_all(text))
    deployments = {one["metadata"]["name"]: one for one in found if one["kind"] == "Deployment"}
    assert set(deployments) == {f"catchlight-{role}" for role in ROLES}
    for name, deployment in deployments.items():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["args"] == [name.removeprefix("catchlight-")]
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert {one["name"] for one in container["env"]} <= KNOWN
        settings = next(one["data"] for one in found if one["metadata"]["name"].startswith("catchlight-")
                        and one["kind"] == "ConfigMap" and "CATCHLIGHT_GRACE" in one["data"])  # fmt: skip
        assert set(settings) <= KNOWN
        assert pod["terminationGracePeriodSeconds"] > int(settings["CATCHLIGHT_GRACE"].removesuffix("s"))
        budgets = [one for one in found if one["kind"] == "PodDisruptionBudget"]
        assert name in {one["metadata"]["name"] for one in budgets}


@needs_kubectl
def test_what_is_scaled_scraped_and_routed_to_exists() -> None:
    kinds = {one["kind"]: one for one in _rendered("keda")}
    trigger = kinds["ScaledObject"]["spec"]["triggers"][0]
    assert trigger["metadata"]["valueLocation"] == "backlog"
    assert trigger["metadata"]["url"].endswith("/api/v1/scaling")
    assert kinds["Ingress"]["spec"]["rules"][0]["http"]["paths"][0]["path"] == "/webhooks/"
    seen = {one["kind"]: one for one in _rendered("observability")}
    assert seen["ServiceMonitor"]["spec"]["endpoints"][0]["path"] == "/metrics"
    assert seen["PrometheusRule"]["spec"]["groups"][0]["rules"]


def _rendered(overlay: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(said_by("kubectl", "kustomize", DEPLOY / "kustomize/overlays" / overlay)))


def test_every_role_that_is_deployed_is_a_command() -> None:
    assert {row.path for row in ROWS} >= ROLES
