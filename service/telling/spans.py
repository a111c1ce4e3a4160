"""Spans of time in the words of a person."""

from __future__ import annotations

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))
_EXACT_BELOW = 10


def span(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`: two digits are as much as anyone reads."""
    seconds = max(seconds, 0.0)
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < _EXACT_BELOW else f"{seconds:.0f} s"


def ago(instant: float | None, now: float) -> str | None:
    return None if instant is None else f"{span(now - instant)} ago"
