"""What an answer of the API means, in each of the four shapes of its errors: bytes in, named outcome out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from service import errors
from service.wavespeed import strict_json
from service.wavespeed.parse import one_line

# Wider than for a callback: a page of the list holds a hundred predictions, and refusing it for the odd
# input of one of them would hide the other ninety-nine.
_MAX_DEPTH = 128
_MAX_NODES = 4_000_000

# 5000 and up are the provider's own spelling of 500 and 503; 408 says only that someone stopped waiting.
_BROKEN = frozenset({408, *range(500, 600), *range(5000, 6000)})


class Kind(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    BUSY = "busy"
    """429: refused this time, and surely not carried out."""
    BROKEN = "broken"
    """Whether the request was carried out is anyone's guess."""


class Refusal(StrEnum):
    """Why the provider said no to a submit: whose move it is."""

    MODERATION = "moderation"
    INVALID_INPUT = "invalid_input"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    CONCURRENCY_LIMIT = "concurrency_limit"
    """Too many at once, or too fast: it passes by itself."""
    KEY_REFUSED = "key_refused"
    PROVIDER_REFUSED = "provider_refused"


_REFUSALS = {
    1200: Refusal.MODERATION,
    1400: Refusal.INVALID_INPUT,
    1401: Refusal.INVALID_INPUT,
    1402: Refusal.INVALID_INPUT,
    400: Refusal.INVALID_INPUT,
    422: Refusal.INVALID_INPUT,
    401: Refusal.KEY_REFUSED,
    403: Refusal.KEY_REFUSED,
    402: Refusal.INSUFFICIENT_BALANCE,
    429: Refusal.CONCURRENCY_LIMIT,
}


def refusal(code: int) -> Refusal:
    """`code` as an answer has it: the HTTP status, or the envelope's."""
    return _REFUSALS.get(code, Refusal.PROVIDER_REFUSED)


@dataclass(frozen=True, slots=True)
class Answer:
    kind: Kind
    code: int
    """The HTTP status, or the envelope's code where that is the one that complains."""
    message: str = ""
    """One line for a person; empty when all is well."""
    said: dict[str, Any] = field(default_factory=dict, repr=False)
    """The decoded answer, envelope included; empty unless it is a JSON object."""


def read(status: int, body: bytes) -> Answer:
    """Errors come with a status, as 200 with another `code`, as a bare `{error}`, or as no JSON at all."""
    said = _decode(body)
    if said is None:
        kind = Kind.BROKEN if _kind(status) is Kind.OK else _kind(status)
        return Answer(kind, status, f"the provider answered {status} without JSON")
    code = _envelope_code(said) if _kind(status) is Kind.OK else status
    kind = Kind.OK if code is None else _kind(code)
    if kind is Kind.OK and _is_bare_error(said):
        kind = Kind.REFUSED
    if kind is Kind.OK:
        return Answer(kind, status, said=said)
    complaint = one_line(said.get("message") or said.get("error")) or "no message"
    return Answer(kind, code or status, f"the provider answered {code or status}: {complaint}", said)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds from a Retry-After header in seconds or as an HTTP date; None when absent or unreadable."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
        return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _decode(body: bytes) -> dict[str, Any] | None:
    try:
        said = strict_json.loads(body, max_depth=_MAX_DEPTH, max_nodes=_MAX_NODES)
    except errors.Unparseable:
        return None
    return said if isinstance(said, dict) else None


def _kind(code: int) -> Kind:
    if 200 <= code < 300:  # noqa: PLR2004 - the classes of HTTP statuses
        return Kind.OK
    if code == 429:  # noqa: PLR2004 - Too Many Requests
        return Kind.BUSY
    return Kind.BROKEN if code in _BROKEN else Kind.REFUSED


def _envelope_code(said: dict[str, Any]) -> int | None:
    """None when there is no envelope: the `code` of a flat prediction tells how that ended, not this call."""
    code = said.get("code")
    if "id" in said or isinstance(code, bool):
        return None
    if isinstance(code, str) and code.isascii() and code.isdigit():
        return int(code[:9])
    return code if isinstance(code, int) else None


def _is_bare_error(said: dict[str, Any]) -> bool:
    return bool(said.get("error")) and "id" not in said and "data" not in said
