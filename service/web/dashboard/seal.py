"""Who has revealed a held output may see it for a minute: a signature in its URL, and nothing on the server.

The key is made of what every process of this deployment has, so that another one than signed may verify.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.prediction import Ref
    from service.settings import Settings

LIVES = 60
"""Seconds."""
_GIVEN = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)


class Seal:
    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, settings: Settings) -> Seal:
        ours = [secret for source in settings.accounts for secret in source.secrets]
        if settings.admin_token is not None:
            ours.append(settings.admin_token.get_secret_value())
        return cls(hmac.digest("\0".join(ours).encode(), b"catchlight reveal 1", "sha256"))

    def opened(self, ref: Ref, index: int, sha256: str, now: float) -> str:
        """For the URL of that output with those bytes, good for LIVES seconds from `now`."""
        expires = math.ceil(now) + LIVES
        return f"{expires}.{self._signature(ref, index, sha256, expires)}"

    def is_open(self, ref: Ref, index: int, sha256: str, given: str, now: float) -> bool:
        found = _GIVEN.fullmatch(given)
        if found is None:
            return False
        expires = int(found[1])
        genuine = hmac.compare_digest(found[2], self._signature(ref, index, sha256, expires))
        return genuine and now < expires

    def _signature(self, ref: Ref, index: int, sha256: str, expires: int) -> str:
        claim = f"{ref}:{index}:{sha256}:{expires}"
        return hmac.new(self._key, claim.encode(), hashlib.sha256).hexdigest()
