"""F21: everything at once, one short episode every day and the long run by `--faults=long`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.long import episode, run

if TYPE_CHECKING:
    from pathlib import Path

LONG = 40_000


def test_a_short_episode_of_everything_loses_nothing(tmp_path: Path, seed: int) -> None:
    summary, problem = episode(tmp_path, f"short.{seed}", 300, rate=15)
    assert not problem, problem
    assert summary.predictions == 300
    assert summary.kills + summary.faults > 3


def test_the_long_run_loses_nothing(tmp_path: Path, seed: int, long: bool) -> None:
    if not long:
        pytest.skip("only with --faults=long")
    assert run(tmp_path, seed, LONG) == []
