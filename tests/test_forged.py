"""A forked process of ours is what a started one is: in what it says, how it ends, and what ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from service import embedded
from tests import forged
from tests.commandline import NOWHERE, accept, completed
from tests.forged import Forged
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "service.cli"]
WORKER = [sys.executable, "-m", "workers", "work"]


def environment(redis_url: str, **more: str) -> dict[str, str]:
    ours = {"CATCHLIGHT_REDIS_URL": redis_url, "CATCHLIGHT_PROVIDER_URL": NOWHERE}
    return {"PATH": os.environ["PATH"]} | ours | more


def started(folder: Path, redis_url: str, process_group: int | None = None) -> Forged:
    with (folder / "log").open("wb") as log:
        process = Forged(
            WORKER, cwd=folder, env=environment(redis_url), stderr=log, process_group=process_group
        )
    wait_until(lambda: "ready role=work" in (folder / "log").read_text() or process.poll() is not None)
    return process


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("ls", 0),
        ("show p1 --json", 0),
        ("show nobody", 3),
        ("config show --json", 0),
        ("replay stage:done --dry-run", 0),
        ("reconcile", 2),
        ("ls --no-such", 2),
        ("--help", 0),
    ],
)
def test_a_command_says_the_same_and_ends_the_same(
    line: str, code: int, redis_url: str, tmp_path: Path
) -> None:
    accept(redis_url, completed("p1"))
    command = [*COMMAND, *line.split()]
    given = environment(redis_url, CATCHLIGHT_FETCH_IDLE="7s")
    real = subprocess.run(
        command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=60, check=False
    )
    forked = forged.run(command, cwd=tmp_path, env=given, timeout=60)
    assert (forked.returncode, real.returncode) == (code, code)
    assert (forked.stdout, forked.stderr) == (real.stdout, real.stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_signal_ends_it_as_it_ends_any(number: signal.Signals, redis_url: str, tmp_path: Path) -> None:
    process = started(tmp_path, redis_url)
    process.send_signal(number)
    assert process.wait(20) == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    assert process.poll() == process.returncode


def test_it_leads_a_group_when_asked_to(redis_url: str, tmp_path: Path) -> None:
    process = started(tmp_path, redis_url, process_group=0)
    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(20) == -signal.SIGKILL


def test_what_the_loader_or_the_interpreter_would_read_is_started_for_real(tmp_path: Path) -> None:
    nothing = {"PATH": os.environ["PATH"], "CATCHLIGHT_REDIS_URL": embedded.url(9)}
    for more in ({"LD_PRELOAD": ""}, {"PYTHONHASHSEED": "7"}):
        with Forged([*COMMAND, "--version"], env=nothing | more, stdout=subprocess.PIPE) as process:
            line = f"/proc/{process.pid}/cmdline"
            with open(line, "rb") as file:  # noqa: PTH123 - a file of the kernel's
                assert b"tests.forge" not in file.read()
