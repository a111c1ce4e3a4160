"""Is this callback from the provider? Only `verify` can make what `parse` accepts.

It resembles Standard Webhooks and is not: the key is taken literally, the digest is hex, the version is v3.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

from service import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

TOLERANCE = 300
"""Seconds between our clock and the callback's within which its body is believed."""

_MAX_SIGNATURES = 10
_MAX_SIGNATURE_HEADER = 4096

_ID = re.compile(rb"[\x21-\x7e]{1,256}")
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_SIGNATURES = re.compile(rb"v3,[0-9a-f]{64}(?: v3,[0-9a-f]{64})*")

_PROOF = object()


@dataclass(frozen=True, slots=True)
class Verified:
    """A genuine callback. When `stale`, nothing but its id is to be believed."""

    webhook_id: str
    timestamp: int
    """Unix seconds, as the sender signed it."""
    body: bytes = field(repr=False)
    stale: bool
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("only verify() makes a Verified")


def verify(
    headers: Sequence[tuple[bytes, bytes]], body: bytes, secrets: Sequence[str], now: float
) -> Verified:
    """Check raw headers and the raw body against every secret; `now` in seconds since the epoch.

    Raises Unverified, with the class of the fault as its text; Mismatched when only the secret is wrong, or
    forged. A wrong clock is no fault: it makes it stale.
    """
    webhook_id = _header(headers, b"webhook-id", _ID)
    timestamp = _header(headers, b"webhook-timestamp", _TIMESTAMP)
    signatures = _signatures(headers)
    if not _any_matches(signatures, b"%b.%b.%b" % (webhook_id, timestamp, body), secrets):
        raise errors.Mismatched("no signature matches")
    sent = int(timestamp)
    return Verified(webhook_id.decode("ascii"), sent, body, stale=abs(now - sent) > TOLERANCE, proof=_PROOF)


def is_among(secret: str, secrets: Sequence[str]) -> bool:
    """Is it one of these, be `whsec_` in front or not?"""
    return any(hmac.compare_digest(_key(secret), _key(one)) for one in secrets)


def claimed_id(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """What an unverified callback calls itself, for a person to look up; None unless well-formed."""
    try:
        return _header(headers, b"webhook-id", _ID).decode("ascii")
    except errors.Unverified:
        return None


def _header(headers: Sequence[tuple[bytes, bytes]], name: bytes, shape: re.Pattern[bytes]) -> bytes:
    values = [value for key, value in headers if key.lower() == name]
    if len(values) != 1:
        raise errors.Unverified(f"{name.decode()} is {'repeated' if values else 'missing'}")
    if len(values[0]) > _MAX_SIGNATURE_HEADER or not shape.fullmatch(values[0]):
        raise errors.Unverified(f"{name.decode()} is malformed")
    return values[0]


def _signatures(headers: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    entries = _header(headers, b"webhook-signature", _SIGNATURES).split(b" ")
    if len(entries) > _MAX_SIGNATURES:
        raise errors.Unverified("webhook-signature is malformed")
    return [entry.removeprefix(b"v3,") for entry in entries]


def _any_matches(signatures: list[bytes], message: bytes, secrets: Sequence[str]) -> bool:
    matched = False
    for key in filter(None, map(_key, secrets)):
        expected = hmac.digest(key, message, "sha256").hex().encode()
        for signature in signatures:
            # No early exit: how long this takes must not tell which secret or which entry was the right one.
            matched |= hmac.compare_digest(expected, signature)
    return matched


def _key(secret: str) -> bytes:
    # It looks like base64 and is not decoded. An empty key would let anyone sign, so `verify` leaves it out.
    return secret.removeprefix("whsec_").encode("utf-8", "surrogateescape")
