"""The watchdog: a loop that stands still ends its process, a busy one does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workers import watchdog

HANGS = """
import asyncio, time
from workers.watchdog import watching

async def main():
    with watching(0.4):
        for _ in range(20):
            await asyncio.sleep(0.05)
        print("still here", flush=True)
        {last}

asyncio.run(main())
"""


def run(last: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HANGS.format(last=last)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("hang", ["while True: pass", "sum(range(10**14))", "time.sleep(60)"])
def test_what_spins_or_blocks_is_ended_and_shows_where_it_stood(hang: str) -> None:
    ended = run(hang)
    assert (ended.stdout, ended.returncode) == ("still here\n", 1)
    assert "in main" in ended.stderr


def test_a_loop_that_turns_is_left_alone_and_so_is_what_comes_after() -> None:
    assert run("await asyncio.sleep(0.6)").returncode == 0


def test_nobody_is_ended_before_his_lease_is_long_over() -> None:
    assert watchdog.patience(12) == 30
    assert watchdog.patience(1) == watchdog.LEAST
