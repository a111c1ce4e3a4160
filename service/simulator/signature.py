"""The provider's callback signature, from its documentation: HMAC-SHA256, a literal key, hexadecimal."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def sign(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """One `v3,<hex>`; the key is the text after `whsec_`, which looks like base64 and is not decoded."""
    key = secret.removeprefix("whsec_").encode("ascii")
    signed = f"{message}.{timestamp}.".encode() + body
    return "v3," + hmac.new(key, signed, hashlib.sha256).hexdigest()


def headers(secrets: Sequence[str], message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """What a callback carries; more than one secret is a rotation under way, with one signature for each."""
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message, timestamp, body) for secret in secrets),
    }
