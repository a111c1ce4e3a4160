"""How a template shows times, sizes and words. Everything is text: the template escapes it."""

from __future__ import annotations

import json
from typing import Any

from service import clock
from service.telling.spans import span

NONE = "\u2013"
"""What is shown where there is nothing: a dash."""
_UNITS = ("kB", "MB", "GB", "TB")
_THOUSAND = 1000
_TONES = {
    "good": "done delivered stored released enabled ok clean healthy ended",
    "busy": "working accepted pending running planned",
    "quiet": "awaited skipped dropped stopped unknown_to_provider",
    "warn": "held failed expired unknown warn disabled rejected parked stale failing",
    "bad": "dead lost fail flagged unhealthy crashed",
}
_TONE_OF = {word: tone for tone, words in _TONES.items() for word in words.split()}


def seconds(instant: object) -> float | None:
    """Of an instant as the API shows it (RFC 3339) or as the ledger has it; None for none."""
    return float(instant) if isinstance(instant, (int, float)) else clock.parse_rfc3339(instant)


def ago(instant: object, now: float) -> str:
    """`2 min ago`, `in 5 s`, or a dash."""
    at = seconds(instant)
    if at is None:
        return NONE
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def exact(instant: object) -> str:
    """For a title and for machines: RFC 3339, or nothing."""
    at = seconds(instant)
    return "" if at is None else clock.rfc3339(at)


def size(count: float | None) -> str:
    """Bytes for people: `512 B`, `1.2 MB`, or a dash."""
    if count is None:
        return NONE
    if count < _THOUSAND:
        return f"{count} B"
    amount = float(count)
    for unit in _UNITS:
        amount /= _THOUSAND
        if amount < _THOUSAND or unit == _UNITS[-1]:
            break
    return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"  # noqa: PLR2004  # two digits do


def number(count: float) -> str:
    """`12,345`, `0.5`, and no `20.0`."""
    return f"{int(count) if count == int(count) else count:,}"


def pretty(value: Any) -> str:
    """JSON as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def tone(word: object) -> str:
    """Which of the five colours a word of ours has."""
    return _TONE_OF.get(str(word), "quiet")


FILTERS = {
    "ago": ago,
    "exact": exact,
    "size": size,
    "number": number,
    "pretty": pretty,
    "tone": tone,
    "span": span,
}
