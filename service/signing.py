"""Signatures and ids of the events we send, per Standard Webhooks."""

from __future__ import annotations

import binascii
import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from service import errors

if TYPE_CHECKING:
    from collections.abc import Sequence


def event_id(source: str, id: str, kind: str, occasion: str) -> str:  # noqa: A002 - the ledger's word
    """The same event has one id over all attempts, replays and hooks: a function of what it tells.

    Joined as JSON, so that no two lists of parts make the same text.
    """
    parts = json.dumps([source, id, kind, occasion]).encode()
    return f"evt_{hashlib.sha256(parts).hexdigest()[:32]}"


def sign(secrets: Sequence[str], event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt at `timestamp` (unix seconds), one signature for each secret.

    A secret is `whsec_<base64>`, else ConfigError; there are two while they rotate. The body is UTF-8.
    """
    if not secrets:
        raise errors.ConfigError("a hook needs at least one secret")
    # The package takes naive datetimes for UTC and converts none: only an aware UTC one is safe everywhere.
    at, text = datetime.fromtimestamp(timestamp, UTC), body.decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_webhook(secret).sign(event_id, at, text) for secret in secrets),
    }


def _webhook(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (binascii.Error, ValueError, EmptyWebhookSecretError):
        # `from None`: the library's message may quote what it could not decode.
        raise errors.ConfigError("a hook's secret is not whsec_ followed by base64") from None
