"""Instants: seconds since the epoch inside, RFC 3339 UTC with milliseconds and `Z` outside."""

from __future__ import annotations

import functools
import math
import re
import time
from datetime import UTC, datetime

# Any number of fractional digits: the provider sends 2, 3 or 9, and fromisoformat of 3.11 takes 3 or 6.
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

_FIRST = datetime.min.replace(tzinfo=UTC).timestamp()
_END = datetime.max.replace(tzinfo=UTC).timestamp()


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def rfc3339(seconds: float) -> str:
    """`1700000000.5` → `2023-11-14T22:13:20.500Z`."""
    fraction, whole = math.modf(seconds)
    # Only the fraction, as datetime does: a product of it all would itself be rounded.
    carried, micros = divmod(round(fraction * 1e6), 1_000_000)
    return f"{_second(int(whole) + carried)}.{micros // 1000:03d}Z"


@functools.lru_cache(256)
def _second(whole: int) -> str:
    """Instants come in crowds, and a calendar is slow."""
    return datetime.fromtimestamp(whole, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


def parse_rfc3339(text: object) -> float | None:
    """Seconds since the epoch, or None for what is no instant that `rfc3339` can show: a date is a hint."""
    if not isinstance(text, str) or not (match := _RFC3339.fullmatch(text.strip())):
        return None
    day, clock, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        instant = whole.timestamp() + float(f"0.{fraction or 0}")
    except (ValueError, OverflowError):
        return None
    # A zone may push the first or the last year over the edge of the calendar.
    return instant if _FIRST <= instant < _END else None
