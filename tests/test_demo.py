"""The demo is the product's proof on a bare machine: nothing lost, nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.waiting import wait_until

DEMO = [sys.executable, "-m", "service.cli", "demo"]
ASKED_FOR = {
    "predictions", "stored", "held", "failed", "expired", "skipped", "duplicates", "forged_refused",
    "recovered_by_poll", "deliveries", "delivery_attempts", "lost", "seconds",
}  # fmt: skip


def family_of(pid: int) -> list[int]:
    """Redis, receiver, worker and sweeper, once all have been started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = [int(child) for child in text.split()]
    return found if len(found) == 4 else []


def test_a_seeded_run_ends_with_nothing_lost_and_every_file_as_it_was_served(tmp_path: Path) -> None:
    command = [*DEMO, "--once", "--json", "--events", "60", "--seed", "7", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [line] = done.stdout.splitlines()
    tally = json.loads(line)

    assert set(tally) >= ASKED_FOR
    assert (tally["lost"], tally["unclean_handed_on"], tally["problems"]) == (0, 0, [])
    assert all(tally[name] > 0 for name in ASKED_FOR - {"lost"})
    assert tally["delivery_attempts"] > tally["deliveries"], "the hook was down for a while"

    attempts = [json.loads(line) for line in (tmp_path / "hooks.jsonl").read_text().splitlines()]
    assert len(attempts) == tally["delivery_attempts"]
    assert all(attempt["verified"] for attempt in attempts)
    manifests = [json.loads(path.read_text()) for path in (tmp_path / "outputs").rglob("manifest.json")]
    kept = [one for manifest in manifests for one in manifest["outputs"] if one["sha256"]]
    assert len(kept) == tally["stored"] + tally["held"]
    for one in kept:
        held = "held/" if one["disposition"] == "held" else ""
        file = tmp_path / "outputs" / held / one["key"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == one["sha256"]


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*DEMO, "--events", "20", "--keep", str(tmp_path)], stderr=subprocess.DEVNULL, process_group=0
    )
    try:
        family = wait_until(lambda: family_of(demo.pid), 30, "all roles run")
        wait_until(lambda: "callback" in (tmp_path / "roles.log").read_text(), 60, "predictions flow")
        demo.send_signal(signal.SIGINT)
        demo.wait(40)
    finally:
        demo.kill()
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]


def test_a_killed_demo_leaves_no_process_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*DEMO, "--events", "20", "--keep", str(tmp_path)], stderr=subprocess.DEVNULL, process_group=0
    )
    try:
        family = wait_until(lambda: family_of(demo.pid), 30, "all roles run")
    finally:
        os.kill(demo.pid, signal.SIGKILL)
        demo.wait()
    wait_until(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()], 30, "all are gone")
