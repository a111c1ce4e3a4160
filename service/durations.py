"""Durations, schedules, sizes and rates as people write them in settings; the jitter between attempts."""

from __future__ import annotations

import re
from decimal import Decimal

_NUMBER = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*([a-zA-Z/]*)", re.ASCII)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "": 1.0}
_BYTES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "": 1}
_LARGEST = 1e18
"""Eighteen digits, as in the pattern: any unit of them is still a finite number."""
_JITTER = 0.2
_LONGEST_QUOTE = 40


def parse_duration(value: object) -> float:
    """Seconds, finite and ≥ 0, from a number of seconds or `500ms | 30s | 5m | 2h | 1d`; else ValueError."""
    number, unit = _split(value)
    if number is None or unit not in _SECONDS:
        raise ValueError(f"{_quoted(value)} is not a duration: write seconds, or 500ms, 30s, 5m, 2h, 1d")
    # Divided, because 0.001 is not a binary fraction: 1.001 s must come back as 1001ms.
    return number / 1000 if unit == "ms" else number * _SECONDS[unit]


def parse_schedule(value: object) -> tuple[float, ...]:
    """One wait or more, in seconds, from `2s,10s,1m` or a list of durations; else ValueError."""
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple)) or not entries or "" in map(str.strip, map(str, entries)):
        raise ValueError(
            f"{_quoted(value)} is not a schedule: write waits with commas between, like 2s,10s,1m"
        )
    return tuple(parse_duration(entry) for entry in entries)


def parse_size(value: object) -> int:
    """Bytes, at least one, from a whole number or `64KiB | 8MiB | 1GiB`; else ValueError."""
    number, unit = _split(value)
    if number is None or unit not in _BYTES or number * _BYTES[unit] < 1:
        raise ValueError(f"{_quoted(value)} is not a size: write bytes (at least 1), or 64KiB, 8MiB, 1GiB")
    size = number * _BYTES[unit]
    if not size.is_integer():
        raise ValueError(f"{_quoted(value)} is not a whole number of bytes: write it in a smaller unit")
    return int(size)


def parse_rate(value: object) -> float:
    """Requests per second, more than none, from `20/s` or `20`; else ValueError."""
    number, unit = _split(value)
    if not number or unit not in ("", "/s"):
        raise ValueError(f"{_quoted(value)} is not a rate: write a number per second, more than 0, like 20/s")
    return number


def render_duration(seconds: float) -> str:
    """In the largest unit that makes it a whole number; `parse_duration` reads it back."""
    for unit in ("d", "h", "m", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    if seconds == 0:
        return "0s"
    if float(seconds * 1000).is_integer():
        return f"{seconds * 1000:.0f}ms"
    return f"{Decimal(repr(seconds)):f}s"


def render_schedule(waits: tuple[float, ...]) -> str:
    return ",".join(render_duration(wait) for wait in waits)


def render_size(size: int) -> str:
    unit = next(unit for unit, factor in _BYTES.items() if size % factor == 0 and size >= factor)
    return f"{size // _BYTES[unit]}{unit}"


def render_rate(rate: float) -> str:
    return f"{rate:g}/s"


def jittered(seconds: float, fraction: float) -> float:
    """`seconds` ± 20 %; 0 ≤ `fraction` < 1 comes from the caller's random source."""
    return seconds * (1 - _JITTER + 2 * _JITTER * fraction)


def _split(value: object) -> tuple[float | None, str]:
    """A number ≥ 0 and the unit behind it; (None, "") for anything else, booleans included."""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value.strip())
        return (float(match[1]), match[2]) if match else (None, "")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None, ""
    return (float(value), "") if 0 <= value < _LARGEST else (None, "")


def _quoted(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
