"""Which part of a file a request asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

_ONE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


class UnsatisfiableError(Exception):
    """Nothing of the file is in the range: 416."""


def asked(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and length, or None for all of it: also of what we do not understand, or several ranges.

    Raises UnsatisfiableError.
    """
    found = _ONE.fullmatch((header or "").strip())
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        start, end = size - length, size
    else:
        start = int(found[1])
        end = min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= end:
        raise UnsatisfiableError
    return start, end - start
