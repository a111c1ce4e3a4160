"""What a caller may give us beside inputs: ids, idempotency keys and metadata."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from service.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_METADATA_MOST = 16 * 1024


def check_id(id_: str) -> str:
    """Raises InvalidInput for what can be no provider's id."""
    if not _ID.fullmatch(id_):
        raise InvalidInput("id", "must be 1 to 128 of A-Z, a-z, 0-9, _ and -")
    return id_


def check_key(key: object) -> None:
    """Raises InvalidInput for what cannot be an Idempotency-Key."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidInput("Idempotency-Key", "must be 1 to 255 visible ASCII characters")


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Raises InvalidInput for what is no JSON, or too much of it."""
    try:
        size = len(json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("metadata", "must be plain JSON") from error
    if size > _METADATA_MOST:
        raise InvalidInput("metadata", f"must be at most {_METADATA_MOST} bytes of JSON")
