"""The demo is the product's proof on a bare machine: nothing lost, nothing left behind."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from httpx_aiohttp import HttpxAiohttpClient
from rich.console import Console
from werkzeug import Response

from service.cli import demo, story
from service.cli.tally import Tally
from service.embedded import free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

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


@pytest.mark.anyio
async def test_it_waits_for_a_late_receiver_and_gives_up_in_one_sentence(httpserver: HTTPServer) -> None:
    answers = iter((503, 503, 200))
    httpserver.expect_request("/readyz").respond_with_handler(lambda _: Response(status=next(answers)))
    async with HttpxAiohttpClient(base_url=httpserver.url_for(""), trust_env=False) as client:
        await demo.until_ready(client)
    assert next(answers, None) is None
    away = f"http://127.0.0.1:{free_port()}"
    async with HttpxAiohttpClient(base_url=away, trust_env=False) as client:
        with pytest.raises(demo.Unanswered, match="the receiver was not ready"):
            await demo.until_ready(client, within=0.3)


def test_what_is_to_be_copied_is_one_command_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("/a-long-name-of-a-folder") / ("x" * 80)
    printed = io.StringIO()
    monkeypatch.setattr(story, "_TALK", Console(file=printed, width=80, highlight=False))
    story.tell_open(Tally(), "http://127.0.0.1:12345", folder)
    lines = [line.strip() for line in printed.getvalue().splitlines()]
    assert f"cd {folder}" in lines
    assert "catchlight review approve ID INDEX" in lines
    assert "curl -s 'http://127.0.0.1:12345/api/v1/predictions?query=stage:failed&limit=3'" in lines
