"""Instants as text: what Python's own calendar says, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service import clock

FIRST = datetime(1, 1, 1, tzinfo=UTC).timestamp()
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
TODAY = 1_700_000_000.0

instants = st.floats(FIRST, LAST) | st.floats(TODAY - 1e9, TODAY + 1e9) | st.integers(int(FIRST), int(LAST))
near_a_millisecond = st.builds(
    lambda whole, millis, micros: whole + millis / 1e3 + micros / 1e6,
    st.integers(int(FIRST) + 1, int(LAST) - 2),
    st.integers(0, 999),
    st.floats(-1.5, 1.5),
)


@given(instants | near_a_millisecond)
@example(0.0)
@example(-0.0)
@example(-1e-9)
@example(0.9999995)
@example(0.9999996)
@example(1_700_000_000.9999998)
@example(FIRST)
@example(LAST)
@example(250_000_000_000 + 33 / 32768)
def test_an_instant_is_shown_as_datetime_shows_it(seconds: float) -> None:
    shown = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    assert clock.rfc3339(seconds) == shown.replace("+00:00", "Z")


@given(instants)
def test_what_is_shown_is_read_back_to_the_millisecond(seconds: float) -> None:
    read = clock.parse_rfc3339(clock.rfc3339(seconds))
    assert read == pytest.approx(seconds, abs=0.0011, rel=1e-15)


@pytest.mark.parametrize("seconds", [FIRST - 1, LAST + 1, float("inf"), float("nan"), 1e300])
def test_what_is_no_instant_of_the_calendar_is_refused(seconds: float) -> None:
    """`Arrival` counts on one of these two."""
    with pytest.raises((ValueError, OverflowError)):
        clock.rfc3339(seconds)
