"""Pace: never more starts in any second than were asked for, and never fewer than there could be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.pace import Pace


def starts(per_second: float, asked: list[float]) -> list[float]:
    """When things start that ask at these moments, in order, each waiting for its turn."""
    pace, now, made = Pace(per_second), 0.0, []
    for moment in sorted(asked):
        now = max(now, moment)
        while wait := pace.wait(now):
            now += wait
        pace.start(now)
        made.append(now)
    return made


@given(
    st.sampled_from([0.1, 0.5, 1.0, 2.5, 20.0, 99.9]),
    st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=60),
)
def test_no_second_holds_more_starts_than_the_rate(per_second: float, asked: list[float]) -> None:
    made = starts(per_second, asked)
    window = max(1.0, 1 / per_second)
    for first in made:
        # A hair less than the whole: two starts exactly one window apart are in different ones.
        assert sum(first <= start < first + window - 1e-6 for start in made) <= max(1, per_second)


@pytest.mark.parametrize(("per_second", "last"), [(20.0, 2.0), (1.0, 40.0), (0.5, 80.0)])
def test_a_crowd_is_served_at_the_rate(per_second: float, last: float) -> None:
    assert starts(per_second, [0.0] * 41)[-1] == pytest.approx(last)


def test_less_than_one_a_second_still_starts_at_once_and_then_waits() -> None:
    pace = Pace(0.5)
    assert pace.wait(100.0) == 0
    pace.start(100.0)
    assert pace.wait(100.5) == pytest.approx(1.5)
    assert pace.wait(102.0) == 0
