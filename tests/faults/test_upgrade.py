"""The version before is replaced by this one, process by process; also back: `tests.faults.upgrade`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import fronts
from tests.faults.upgrade.roll import PLACES, roll
from tests.faults.upgrade.versions import HERE, MissingError, before, checked_out

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.upgrade.versions import Version

FEW = [place for place in PLACES if place != "work-2"]


@pytest.fixture
def old(tmp_path: Path) -> Version:
    try:
        ref, _ = before()
        return checked_out(ref, tmp_path / "old")
    except MissingError as missing:
        pytest.skip(f"the version before is not to be had here: {missing}")


@pytest.mark.skipif(fronts.of_nginx() is None, reason="nginx is missing")
def test_no_callback_fails_while_the_version_before_is_replaced(old: Version, tmp_path: Path) -> None:
    said: list[str] = []
    summary = roll(tmp_path / "roll", old, [HERE], said.append, rate=10, between=5, places=FEW)
    assert summary.refused == []
    assert [(step.place, step.version, step.code) for step in summary.steps] == [
        (place, "new", 0) for place in FEW
    ]
    assert summary.callbacks >= 5 * len(FEW)
    assert summary.passed
    assert len(said) == len(FEW)


def test_a_version_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no-such-commit"):
        checked_out("no-such-commit", tmp_path)
