"""The walk-through of deploy/README.md, as far as a second goes: its blocks are what can be run.

Whether they lead anywhere says `python -m tests.walkthrough`.
"""

from __future__ import annotations

import re
import subprocess

from tests.walkthrough.__main__ import NAMES, RUNBOOK, blocks
from tests.walkthrough.machines import NETWORK

MARKS = {*NAMES, "all", "outside", "update"}


def test_every_block_is_shell_and_says_where_it_runs() -> None:
    found = blocks(RUNBOOK.read_text())
    assert all(block.marks <= MARKS and block.marks & {*NAMES, "all"} for block in found)
    for block in found:
        done = subprocess.run(["bash", "-n"], input=block.script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_it_installs_first_and_ends_with_an_update() -> None:
    first, *_, last = blocks(RUNBOOK.read_text())
    assert first.marks == {"all", "outside"}
    assert "requirements.lock" in first.script
    assert "update" in last.marks


def test_nobody_is_addressed_who_is_not_there() -> None:
    told = " ".join(block.script for block in blocks(RUNBOOK.read_text()))
    numbered = {f"{NETWORK}.{number}" for number, _ in enumerate(NAMES, 1)}
    assert set(re.findall(rf"{re.escape(NETWORK)}\.\d+", told)) == numbered
