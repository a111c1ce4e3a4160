"""How available a hook was, hour by hour: where the bars of its strip stand, and the same in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from service import clock
from service.hooks.hours import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.hooks.hours import Hour

WIDTH, HEIGHT, GAP = 480, 32, 2
_LEAST = 4
"""Of an hour in which little was attempted, it still has to be seen."""


class Bar(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    health: str
    title: str


def bars(hours: Sequence[Hour]) -> list[Bar]:
    """In a box of WIDTH by HEIGHT. Each is as high as its share of the busiest hour's attempts."""
    most = max((hour.attempts for hour in hours), default=0)
    step = WIDTH / max(1, len(hours))
    return [_bar(hour, n * step, step - GAP, most) for n, hour in enumerate(hours)]


def _bar(hour: Hour, x: float, width: float, most: int) -> Bar:
    if not hour.attempts:
        return Bar(
            round(x, 2),
            HEIGHT - _LEAST / 2,
            round(width, 2),
            _LEAST / 2,
            "idle",
            f"{_clock(hour.at)}: nothing",
        )
    height = max(_LEAST, HEIGHT * hour.attempts / most)
    failed = "".join(f", {word} \u00d7 {count}" for word, count in hour.troubles())
    title = f"{_clock(hour.at)}: {hour.delivered:,} of {hour.attempts:,} delivered{failed}"
    return Bar(round(x, 2), round(HEIGHT - height, 2), round(width, 2), round(height, 2), hour.health, title)


def counted(hours: Sequence[tuple[float, int]]) -> list[Bar]:
    """Of what should not be at all: how often, by the beginning of each hour."""
    most = max((count for _, count in hours), default=0)
    step = WIDTH / max(1, len(hours))
    return [_mark(at, count, n * step, step - GAP, most) for n, (at, count) in enumerate(hours)]


def _mark(at: float, count: int, x: float, width: float, most: int) -> Bar:
    height = max(_LEAST, HEIGHT * count / most) if count else _LEAST / 2
    title = f"{_clock(at)}: {count:,}" if count else f"{_clock(at)}: none"
    health = "mixed" if count else "idle"
    return Bar(round(x, 2), round(HEIGHT - height, 2), round(width, 2), round(height, 2), health, title)


def told(hours: Sequence[Hour]) -> str:
    """What the strip shows, for whoever does not see it."""
    whole = total(hours)
    if not whole.attempts:
        return f"nothing attempted in the last {len(hours)} hours"
    said = (
        f"{whole.delivered:,} of {whole.attempts:,} attempts delivered in the last {len(hours)} hours "
        f"({percent(whole)})"
    )
    failing = [hour for hour in hours if hour.failures]
    if not failing:
        return said
    times = "an hour" if len(failing) == 1 else f"{len(failing)} hours"
    return f"{said}; failures in {times}, the last from {_clock(failing[-1].at)}"


def percent(hour: Hour) -> str:
    """Of its attempts that were delivered: `99.5 %`; never 100 when one was not. A dash for none."""
    if not hour.attempts:
        return "\u2013"
    share = 100 * hour.delivered / hour.attempts
    return "100 %" if hour.delivered == hour.attempts else f"{min(share, 99.9):.1f} %"


def _clock(at: float) -> str:
    return clock.rfc3339(at)[:16].replace("T", " ") + " UTC"
