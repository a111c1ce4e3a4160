"""Instants: seconds since the epoch inside, RFC 3339 UTC with milliseconds and `Z` outside."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

# Any number of fractional digits: the provider sends 2, 3 or 9, and fromisoformat of 3.11 takes 3 or 6.
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def rfc3339(seconds: float) -> str:
    """`1700000000.5` → `2023-11-14T22:13:20.500Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: object) -> float | None:
    """Seconds since the epoch, or None for what is no instant that `rfc3339` can show: a date is a hint."""
    if not isinstance(text, str) or not (match := _RFC3339.fullmatch(text.strip())):
        return None
    day, clock, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        instant = whole.timestamp() + float(f"0.{fraction or 0}")
        # A zone may push the first or the last year over the edge of the calendar.
        rfc3339(instant)
    except (ValueError, OverflowError):
        return None
    return instant
