"""The file of a backup: lines of JSON, compressed; the first says what it is, the last what all come to.

Nothing of it is believed before the last line was read and found right.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from typing import IO, TYPE_CHECKING, Any

from service.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1
_KIND = "catchlight backup"
_LINE_MOST = 64 << 20
"""Bytes: several times what a prediction can be."""


class BadBackup(Refused):
    """It cannot be restored from; nothing was written."""


class Writer:
    """Writes to a binary file that is open; it is a backup once `end` was called."""

    def __init__(self, file: IO[bytes], header: dict[str, Any]) -> None:
        # No name and no time in it: the same content is the same file.
        self._file = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6)
        self._digest = hashlib.sha256()
        self._lines = 0
        self.write({"is": _KIND, "format": FORMAT, **header})

    def write(self, line: dict[str, Any]) -> None:
        data = _encoded(line)
        self._digest.update(data)
        self._file.write(data)
        self._lines += 1

    def end(self) -> None:
        self._file.write(_encoded({"lines": self._lines, "sha256": self._digest.hexdigest()}))
        self._file.close()


def check(file: IO[bytes]) -> dict[str, Any]:
    """Read all of it; the first line. Raises BadBackup for what is cut off, altered or of a newer version."""
    digest, lines, header, last = hashlib.sha256(), 0, b"", b""
    for line in _lines(file):
        if last:
            digest.update(last)
            lines += 1
        header, last = header or line, line
    first, end = _decoded(header), _decoded(last)
    if first.get("is") != _KIND:
        raise BadBackup("it is no backup of a ledger")
    if first.get("format") != FORMAT:
        raise BadBackup(f"its format {first.get('format')!r} is not the {FORMAT} that this version reads")
    if end != {"lines": lines, "sha256": digest.hexdigest()}:
        raise BadBackup("it is cut off or was altered: its last line is not what the others come to")
    return first


def read(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The lines between the first and the last, of a file that was checked."""
    before: dict[str, Any] | None = None
    for number, line in enumerate(_lines(file)):
        if before is not None:
            yield before
        before = _decoded(line) if number else None


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            while line := unpacked.readline(_LINE_MOST):
                yield line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadBackup(f"it is cut off or was altered: {error}") from error


def _encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise BadBackup("it is no backup of a ledger") from error
    if not isinstance(value, dict):
        raise BadBackup("it is no backup of a ledger")
    return value
