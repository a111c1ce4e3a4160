"""Durations, schedules, sizes and rates: what may be written, what may not, and how they are shown again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.durations import (
    jittered,
    parse_duration,
    parse_rate,
    parse_schedule,
    parse_size,
    render_duration,
    render_rate,
    render_schedule,
    render_size,
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("1.5h", 5400),
        ("30", 30),
        (" 30 s ", 30),
        ("0", 0),
        (30, 30),
        (0.25, 0.25),
        ("1001ms", 1.001),
    ],
)
def test_a_duration_is_a_number_of_seconds_or_a_number_with_a_unit(
    written: str | float, seconds: float
) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        *(
            "",
            " ",
            "s",
            "soon",
            "5 minutes",
            "5M",
            "5w",
            "1h30m",
            "-1s",
            "+1s",
            "1e3",
            "inf",
            "nan",
            "٣s",
            "1,5s",
        ),
        *("9" * 400, -1, -0.5, float("inf"), float("nan"), 10**400, True, None, [1]),
    ],
)
def test_what_is_no_duration_is_refused_with_the_forms_that_are(written: object) -> None:
    with pytest.raises(ValueError, match=r"is not a duration: write seconds, or 500ms, 30s, 5m, 2h, 1d"):
        parse_duration(written)


def test_a_long_mistake_is_quoted_in_part() -> None:
    with pytest.raises(ValueError, match="is not a duration") as raised:
        parse_duration("x" * 10_000)
    assert len(str(raised.value)) < 150


@given(st.integers(min_value=0, max_value=10 * 365 * 86_400_000))
def test_a_rendered_duration_reads_back_as_the_same_number(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(render_duration(seconds)) == seconds


@given(st.floats(min_value=0, max_value=1e9, allow_subnormal=False).map(lambda seconds: round(seconds, 9)))
def test_even_an_odd_duration_reads_back(seconds: float) -> None:
    assert parse_duration(render_duration(seconds)) == pytest.approx(seconds, rel=1e-15)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.5, "500ms"),
        (1.5, "1500ms"),
        (30, "30s"),
        (60, "1m"),
        (90, "90s"),
        (5400, "90m"),
        (7200, "2h"),
        (86400, "1d"),
        (0.0001, "0.0001s"),
    ],
)
def test_a_duration_is_shown_in_its_largest_whole_unit(seconds: float, shown: str) -> None:
    assert render_duration(seconds) == shown


def test_a_schedule_is_a_list_of_durations() -> None:
    assert parse_schedule("2s, 10s,1m") == (2, 10, 60)
    assert parse_schedule("5") == (5,)
    assert parse_schedule([1, "500ms"]) == (1, 0.5)
    assert render_schedule((2, 10, 60)) == "2s,10s,1m"


@pytest.mark.parametrize(
    "written", ["", " ", ",", "2s,", ",2s", "2s,,3s", "2s, ,3s", [], [""], None, 5, {"a": 1}]
)
def test_a_schedule_has_an_entry_and_no_empty_one(written: object) -> None:
    with pytest.raises(
        ValueError, match=r"is not a schedule: write waits with commas between, like 2s,10s,1m"
    ):
        parse_schedule(written)


def test_a_schedule_points_at_the_entry_that_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"'soon' is not a duration"):
        parse_schedule("2s,soon")


@pytest.mark.parametrize(
    ("written", "size"),
    [("8MiB", 8 << 20), ("64KiB", 65536), ("1GiB", 1 << 30), ("0.5KiB", 512), ("1", 1), (4096, 4096)],
)
def test_a_size_is_bytes_or_a_number_with_a_binary_unit(written: str | int, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["", "8MB", "8mib", "0", 0, -1, "big", True, None, "1TiB", "0.0001KiB"])
def test_what_is_no_size_is_refused_with_the_forms_that_are(written: object) -> None:
    with pytest.raises(ValueError, match=r"is not a size: write bytes \(at least 1\), or 64KiB, 8MiB, 1GiB"):
        parse_size(written)


def test_a_size_is_a_whole_number_of_bytes() -> None:
    with pytest.raises(ValueError, match="is not a whole number of bytes"):
        parse_size("1.0001KiB")


@given(st.integers(min_value=1, max_value=1 << 45))
def test_a_rendered_size_reads_back(size: int) -> None:
    assert parse_size(render_size(size)) == size


def test_sizes_are_shown_in_their_largest_whole_unit() -> None:
    assert [render_size(size) for size in (8 << 20, 1536, 1000)] == ["8MiB", "1536", "1000"]


def test_a_rate_is_a_number_per_second() -> None:
    assert [parse_rate(rate) for rate in ("20/s", "20", 20, "0.5/s")] == [20, 20, 20, 0.5]
    assert render_rate(20.0) == "20/s"


@pytest.mark.parametrize("written", ["0", 0, "-1/s", "20/m", "20s", "", "many", True, None])
def test_what_is_no_rate_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="is not a rate: write a number per second, more than 0, like 20/s"):
        parse_rate(written)


@given(st.floats(min_value=0, max_value=1e6), st.floats(min_value=0, max_value=1, exclude_max=True))
def test_jitter_stays_within_a_fifth(seconds: float, fraction: float) -> None:
    assert seconds * 0.8 <= jittered(seconds, fraction) <= seconds * 1.2 + 1e-9


def test_jitter_spans_its_range_around_the_wait() -> None:
    assert [jittered(100, fraction) for fraction in (0, 0.5, 0.75)] == pytest.approx([80, 100, 110])
