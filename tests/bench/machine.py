"""What the machine gives: two cores at once are not always twice one, and no program can be either then."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

SPIN = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
turns, end = 0, time.monotonic() + 1
while time.monotonic() < end:
    for _ in range(10_000):
        turns += 1
print(turns)
"""


def described() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def commit() -> str:
    """Of what is measured; "" where it is no checkout."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def two_cores() -> float:
    """How much two cores do at once, against the better of them alone: 2 where they share nothing."""
    alone = max(_turns(core)[0] for core in (0, 1))
    return sum(_turns(0, 1)) / alone


def _turns(*cores: int) -> list[int]:
    running = [
        subprocess.Popen([sys.executable, "-c", SPIN, str(core)], stdout=subprocess.PIPE) for core in cores
    ]
    return [int(process.communicate()[0]) for process in running]
