"""Where the spans of a waterfall stand in its picture: numbers for whoever draws it.

A prediction that takes two seconds may be told to a hook for a day. So the scale is no ruler: between two
instants at which something begins or ends lies the more room, the longer it takes, but a thousand times as
long is a few times as wide. What is said beside a bar is exact.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.telling.spans import span as in_words
from service.telling.waterfall import Kind, lanes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.telling.waterfall import Span

LEFT, WIDTH, RIGHT = 190.0, 1000.0, 20.0
ROW, TOP = 24.0, 24.0
LANES_MOST = 40
_LEAST = 3.0
"""A bar is at least so wide, or nobody sees it."""
_ROOM_FOR_WORDS = 56.0
_UNIT = 0.02
"""Seconds that count as one: what is much shorter takes nearly no room."""
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Bar:
    span: Span
    x: float
    width: float
    words: str
    """How long it took; empty where there is no room for it."""
    words_x: float


@dataclass(frozen=True, slots=True)
class Row:
    lane: str
    y: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    height: float
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    """Where, and how long after the beginning."""
    hidden: int
    """Lanes for which there was no room."""
    began: float


def picture(spans: Sequence[Span], now: float) -> Picture:
    """`now`, in seconds since the epoch: where that ends which has no end."""
    if not spans:
        return Picture(TOP, (), (), 0, now)
    scale = _Scale(spans, now)
    found = lanes(spans)
    rows = tuple(
        Row(lane, TOP + n * ROW, _bars(of, scale))
        for n, (lane, of) in enumerate(found.items())
        if n < LANES_MOST
    )
    hidden = len(found) - len(rows)
    return Picture(TOP + len(rows) * ROW + 4, rows, scale.ticks(), hidden, scale.began)


def took(seconds: float) -> str:
    """`4 ms`, `2.6 s`, `3 min`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else in_words(seconds)


class _Scale:
    def __init__(self, spans: Sequence[Span], now: float) -> None:
        ends = [max(one.start, now) if one.end is None else one.end for one in spans]
        self._last = max(ends)
        self._instants = sorted({one.start for one in spans} | set(ends))
        self.began = self._instants[0]
        room = [0.0]
        for before, after in zip(self._instants, self._instants[1:], strict=False):
            room.append(room[-1] + math.log1p((after - before) / _UNIT))
        self._room = [LEFT + at * (WIDTH - LEFT - RIGHT) / (room[-1] or 1.0) for at in room]

    def x(self, at: float | None) -> float:
        return self._room[bisect_right(self._instants, self._last if at is None else at) - 1]

    def ticks(self) -> tuple[tuple[float, str], ...]:
        wanted = [LEFT + n * (WIDTH - LEFT - RIGHT) / _TICKS for n in range(_TICKS)]
        return tuple((x, f"+{took(self._at(x) - self.began)}") for x in wanted)

    def _at(self, x: float) -> float:
        n = bisect_right(self._room, x) - 1
        if n + 1 >= len(self._room):
            return self._last
        low, high = self._room[n], self._room[n + 1]
        part = (x - low) / (high - low) if high > low else 0.0
        return self._instants[n] + part * (self._instants[n + 1] - self._instants[n])


def _bars(spans: Sequence[Span], scale: _Scale) -> tuple[Bar, ...]:
    """In the order of their beginnings; marks last, so that nothing covers them."""
    ordered = sorted(spans, key=lambda one: (one.kind is Kind.MARK, one.start))
    begins = sorted(scale.x(one.start) for one in spans if one.kind is not Kind.MARK)
    return tuple(_bar(one, begins, scale) for one in ordered)


def _bar(one: Span, begins: Sequence[float], scale: _Scale) -> Bar:
    x = scale.x(one.start)
    width = max(scale.x(one.end) - x, _LEAST)
    # Beyond the mark that may stand on its end.
    after = x + width + 8
    free = next((begin for begin in begins if begin > x + 1), WIDTH)
    has_room = one.kind is not Kind.MARK and min(free, WIDTH) - after >= _ROOM_FOR_WORDS
    words = ("goes on" if one.seconds is None else took(one.seconds)) if has_room else ""
    return Bar(one, round(x, 1), round(width, 1), words, round(after, 1))
