"""JSON as the ledger and the events hold it: without blanks, in plain letters."""

from __future__ import annotations

import json
from typing import Any

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def encoded(value: Any) -> str:
    """By an encoder that is made once: `json.dumps` makes one for every call."""
    return _ENCODER.encode(value)
