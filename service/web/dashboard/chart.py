"""Bars of what happened when, as numbers for an SVG that the server draws. No I/O.

The drawing is stretched to its place: widths are slots, heights are parts of a hundred. Words stand beside it
in HTML, where they keep their size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from service import clock
from service.throughput import NAMES, RECOVERED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.throughput import Slot, Throughput

HEIGHT = 100
GAP = 0.14
"""Of a slot's width, left free between two bars."""
LEAST = 1.5
"""The height of what is not nothing."""
_DIRECT = tuple(name for name in NAMES if name.startswith("via_") and name not in RECOVERED)


class Mark(NamedTuple):
    kind: str
    """The class of its colour."""
    x: float
    y: float
    width: float
    height: float
    says: str


class Chart(NamedTuple):
    slots: int
    marks: Sequence[Mark]
    top: int
    """What the whole height stands for, a round number."""
    times: Sequence[str]
    """RFC 3339 of its beginning, its middle and its end."""
    peak: int
    """The most that came in one slot."""
    since: str
    """RFC 3339 of when counting began, when that was later than its beginning."""


def bars(throughput: Throughput) -> Chart:
    """Per slot: below what came by itself, above it what had to be found."""
    slots = throughput.slots
    peak = max((slot.of(*_DIRECT, *RECOVERED) for slot in slots), default=0.0)
    top = round_above(peak)
    marks = [mark for n, slot in enumerate(slots) for mark in _stacked(n, slot, top)]
    begin, end = slots[0].at, slots[-1].at + slots[-1].seconds
    times = [clock.rfc3339(at) for at in (begin, (begin + end) / 2, end)]
    known = [slot.at for slot in slots if slot.known]
    since = clock.rfc3339(known[0]) if known and known[0] > begin else ""
    return Chart(len(slots), marks, top, times, round(peak), since)


def round_above(amount: float) -> int:
    """The least of 1, 2, 5, 10, 20, … that is not below it; 1 for nothing."""
    size = 1
    while True:
        for step in (1, 2, 5):
            if step * size >= math.floor(amount + 0.5):
                return step * size
        size *= 10


def _stacked(n: int, slot: Slot, top: int) -> Sequence[Mark]:
    came, found = slot.of(*_DIRECT), slot.of(*RECOVERED)
    says = f"{clock.rfc3339(slot.at)[11:16]} UTC: {_count(came)} called back, {_count(found)} recovered"
    marks, below = [], float(HEIGHT)
    for kind, amount in (("busy", came), ("good", found)):
        if amount > 0:
            height = min(max(amount * HEIGHT / top, LEAST), below)
            below -= height
            width = round(1 - GAP, 2)
            marks.append(Mark(kind, round(n + GAP / 2, 2), round(below, 2), width, round(height, 2), says))
    return marks


def _count(amount: float) -> str:
    return f"{amount:.0f}" if amount >= 1 or not amount else "less than 1"
