"""`doctor --bundle`: what helps is in it, no secret is, and nobody else may read it."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

from tests.commandline import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-of-the-bundle"


def texts(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        found = {entry.name: archive.extractfile(entry) for entry in archive}
        return {name: file.read().decode() for name, file in found.items() if file}


def test_it_has_what_helps_and_no_secret(tmp_path: Path, redis_url: str) -> None:
    cli, target = CommandLine(tmp_path, redis_url), tmp_path / "support.tar.gz"
    secrets = {"webhook_secrets": f"whsec_{CANARY}", "admin_token": CANARY * 2, "wavespeed_api_key": CANARY}
    ran = cli.run(
        "doctor", "--json", "--bundle", str(target), provider_url="http://127.0.0.1:9/v3", **secrets
    )
    assert {one["name"] for one in ran.json["checks"]} >= {"redis", "storage"}
    found = texts(target)
    assert set(found) == {
        f"catchlight/{name}" for name in ("doctor.json", "settings.json", "versions.json", "metrics.txt")
    }
    assert CANARY not in "".join(found.values())
    assert "catchlight_redis_up 1.0" in found["catchlight/metrics.txt"]
    assert {"python", "redis", "rq"} <= set(json.loads(found["catchlight/versions.json"]))
    assert target.stat().st_mode & 0o777 == 0o600


def test_it_overwrites_nothing(tmp_path: Path, redis_url: str) -> None:
    target = tmp_path / "support.tar.gz"
    target.write_text("mine")
    ran = CommandLine(tmp_path, redis_url).run("doctor", "--bundle", str(target))
    assert ran.code == 2
    assert target.read_text() == "mine"
