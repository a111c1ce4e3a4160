"""The strip of a hook: its bars, and the same in words."""

from __future__ import annotations

import pytest

from service.hooks.hours import HOUR, Hour
from service.web.dashboard import strip

TIMES = "\u00d7"


def test_a_bar_is_as_high_as_its_hour_was_busy_and_coloured_by_its_health() -> None:
    hours = [
        Hour(0),
        Hour(HOUR, {10: 100}),
        Hour(2 * HOUR, {10: 50}, {"502": 3, "timeout": 2}),
        Hour(3 * HOUR, {10: 1}, {"502": 1}),
    ]
    bars = strip.bars(hours)
    assert [bar.health for bar in bars] == ["idle", "good", "mixed", "bad"]
    assert [bar.height for bar in bars] == [2, 32, 16, 4], "little is still to be seen"
    assert all(bar.y + bar.height == strip.HEIGHT for bar in bars)
    assert [bar.x for bar in bars] == [0, 120, 240, 360]
    assert bars[2].title == (f"1970-01-01 02:00 UTC: 45 of 50 delivered, 502 {TIMES} 3, timeout {TIMES} 2")
    assert bars[0].title == "1970-01-01 00:00 UTC: nothing"


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        ([Hour(0), Hour(HOUR)], "nothing attempted in the last 2 hours"),
        ([Hour(0, {10: 2})], "2 of 2 attempts delivered in the last 1 hours (100 %)"),
        (
            [Hour(0, {10: 20_000}, {"502": 1}), Hour(HOUR)],
            (
                "19,999 of 20,000 attempts delivered in the last 2 hours (99.9 %); "
                "failures in an hour, the last from 1970-01-01 00:00 UTC"
            ),
        ),
        (
            [Hour(0, {10: 4}, {"502": 1}), Hour(HOUR, {10: 4}, {"502": 2})],
            (
                "5 of 8 attempts delivered in the last 2 hours (62.5 %); "
                "failures in 2 hours, the last from 1970-01-01 01:00 UTC"
            ),
        ),
    ],
)
def test_it_is_told_in_words(hours: list[Hour], told: str) -> None:
    assert strip.told(hours) == told


def test_without_any_hour_there_is_no_bar() -> None:
    assert strip.bars([]) == []
