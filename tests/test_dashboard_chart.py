"""Bars as an SVG takes them: inside their frame, stacked, and never too low to be seen."""

from __future__ import annotations

import pytest

from service.throughput import CALLED_BACK, RECOVERED, Sample, Slot, Throughput, over
from service.web.dashboard import chart
from service.web.dashboard.chart import HEIGHT, LEAST

A = 1_700_000_000.0 // 60 * 60


def drawn(*slots: tuple[float, float]) -> chart.Chart:
    """Of what called back and what was recovered in each."""
    counts = [{CALLED_BACK: came, RECOVERED[0]: found} for came, found in slots]
    return chart.bars(Throughput([Slot(A + 60 * n, 60, one, known=True) for n, one in enumerate(counts)]))


def test_a_bar_is_stacked_and_as_high_as_its_share_of_a_round_number() -> None:
    shown = drawn((0, 0), (10, 10), (4, 0))
    assert (shown.slots, shown.top, shown.peak) == (3, 20, 20)
    assert [(one.kind, one.x, one.y, one.height) for one in shown.marks] == [
        ("busy", 1.07, 50, 50),
        ("good", 1.07, 0, 50),
        ("busy", 2.07, 80, 20),
    ]
    assert shown.marks[0].says.endswith("UTC: 10 called back, 10 recovered")


def test_what_is_not_nothing_is_seen_and_nothing_leaves_the_frame() -> None:
    shown = drawn((0.01, 0.01), (1000, 0.5), (997, 3))
    assert min(one.height for one in shown.marks) >= LEAST or shown.marks[-1].y == 0
    for one in shown.marks:
        assert one.x >= 0
        assert one.x + one.width <= shown.slots
        assert one.y >= 0
        assert one.y + one.height <= HEIGHT


def test_of_nothing_there_is_an_empty_frame() -> None:
    shown = drawn((0, 0), (0, 0))
    assert (shown.marks, shown.top, shown.peak) == ([], 1, 0)


def test_when_counting_began_is_told_when_that_is_inside() -> None:
    samples = [Sample(A, {CALLED_BACK: 0}), Sample(A + 60, {CALLED_BACK: 2})]
    inside = chart.bars(over(samples, A + 90, slots=5, seconds=60))
    assert inside.since == "2023-11-14T22:13:00.000Z"
    assert chart.bars(over(samples, A + 90, slots=2, seconds=60)).since == ""


@pytest.mark.parametrize(
    ("amount", "above"),
    [(0, 1), (0.2, 1), (1, 1), (1.4, 1), (2, 2), (3, 5), (6, 10), (11, 20), (99, 100), (501, 1000)],
)
def test_a_scale_ends_with_a_round_number(amount: float, above: int) -> None:
    assert chart.round_above(amount) == above
