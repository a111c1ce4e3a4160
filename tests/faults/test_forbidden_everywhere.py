"""I7, for the client alone: where every address is this machine, none that is forbidden sees a connection."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults import everywhere
from tests.house import ROOT
from tests.test_guard import rows

if TYPE_CHECKING:
    from tests.faults.chance import Chance

NAMESPACES = (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"])
"""For root, and for others where the kernel lets them."""


@pytest.fixture(scope="module")
def apart() -> list[str]:
    """The command that runs another in a network of its own."""
    if shutil.which("ip") and shutil.which("unshare"):
        for command in NAMESPACES:
            tried = [*command, "ip", "link", "set", "lo", "up"]
            if subprocess.run(tried, capture_output=True, check=False).returncode == 0:
                return command
    pytest.skip("no network namespace can be made here: that needs root, unshare and ip")


def asked(apart: list[str], chance: Chance, urls: int, *more: str) -> dict[str, Any]:
    command = [sys.executable, "-m", everywhere.__name__, f"--seed={chance.seed}", f"--urls={urls}", *more]
    done = subprocess.run(
        [*apart, *command], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_i7_the_guarded_client_connects_to_public_addresses_only(
    apart: list[str], chance: Chance, long: bool
) -> None:
    said = asked(apart, chance, 50_000 if long else 1_500)
    public = {text for word, text in rows("addresses.txt") if word == "public"}
    assert set(said["accepted"]) == public | set(everywhere.PERMITTED.values())
    assert said["opened"] == sum(said["accepted"].values()), "nor was any other port tried"
    assert said["answered"] == 0
    assert said["refused"] > 0.8 * said["lures"]
    assert min(said["accepted"][address] for address in everywhere.PERMITTED.values()) > said["lures"] // 110


def test_the_same_urls_lead_a_client_without_a_guard_to_forbidden_addresses(
    apart: list[str], chance: Chance
) -> None:
    """The canaries hear, and the lures are some."""
    said = asked(apart, chance, 1_000, "--unguarded")
    forbidden = {text for word, text in rows("addresses.txt") if word == "refused"}
    assert {"127.0.0.1", "::1", "169.254.169.254", "10.0.0.1"} <= set(said["accepted"]) & forbidden
    assert sum(said["accepted"].values()) > 150
