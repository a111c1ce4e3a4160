"""The tokens of the API, kept as digests only, and the role that each gives."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.settings import Settings

_SALT = b"catchlight session"


class Role(StrEnum):
    VIEWER = "viewer"
    """May read."""
    OPERATOR = "operator"
    """May change things as well."""


@dataclass(frozen=True)
class Token:
    role: Role
    digest: bytes = field(repr=False)
    session_key: bytes = field(repr=False)
    """Signs the sessions that this token opens: another token is another key, and ends them."""

    @classmethod
    def of(cls, secret: str, role: Role) -> Self:
        """Takes some 50 ms: a stolen session must be no cheap way to guess a short token."""
        key = hashlib.scrypt(secret.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=32)
        return cls(role, _digest(secret), key)


def configured(settings: Settings) -> tuple[Token, ...]:
    """None when no admin token is set: then whoever is on this machine may do everything."""
    secrets = ((settings.admin_token, Role.OPERATOR), (settings.viewer_token, Role.VIEWER))
    return tuple(Token.of(secret.get_secret_value(), role) for secret, role in secrets if secret)


def match(tokens: Sequence[Token], given: str) -> Token | None:
    """The token that was given. All are compared whatever the first says, and each in constant time."""
    digest = _digest(given)
    matching = [token for token in tokens if hmac.compare_digest(digest, token.digest)]
    return matching[0] if matching else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
