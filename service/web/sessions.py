"""A browser's session: `role.expires.id.signature` in a cookie, and nothing of it on the server."""

from __future__ import annotations

import hmac
import re
import secrets
from typing import TYPE_CHECKING, NamedTuple

from service.web.tokens import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.web.tokens import Token

COOKIE = "catchlight_session"
LIFETIME = 12 * 3600
"""Seconds."""

_VALUE = re.compile(r"((viewer|operator)\.([0-9]{1,12})\.[0-9a-f]{32})\.([0-9a-f]{64})")


class Session(NamedTuple):
    value: str
    """Of the cookie."""
    expires: int
    """Seconds since the epoch."""


def opened(token: Token, now: float) -> Session:
    expires = int(now) + LIFETIME
    claim = f"{token.role}.{expires}.{secrets.token_hex(16)}"
    return Session(f"{claim}.{_signature(token, claim)}", expires)


def role_of(tokens: Sequence[Token], value: str, now: float) -> Role | None:
    """The role of a session that one of these tokens opened and that has not expired, else None."""
    found = _VALUE.fullmatch(value)
    if found is None:
        return None
    claim, role, expires, signature = found.groups()
    signers = [token for token in tokens if hmac.compare_digest(_signature(token, claim), signature)]
    # Whoever has a token can sign with its key, so a key vouches for its own role only.
    genuine = any(token.role == role for token in signers)
    return Role(role) if genuine and now < int(expires) else None


def _signature(token: Token, claim: str) -> str:
    return hmac.new(token.session_key, claim.encode(), "sha256").hexdigest()
