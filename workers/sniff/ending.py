"""Whether a file ends where its format says: all there is to go by when an origin declares no length.

Bytes after the end are fine; some writers pad, and a paid file is not thrown away for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from workers.sniff import kinds

if TYPE_CHECKING:
    from workers.sniff.kinds import FileType


class Ending(Protocol):
    def feed(self, chunk: bytes) -> None: ...

    @property
    def complete(self) -> bool: ...


def ending_of(type_: FileType) -> Ending | None:
    """None for formats that may end anywhere."""
    if type_ in _MARKERS:
        return _Marker(_MARKERS[type_])
    if type_ in _LENGTH_FIELDS:
        return _Declared(*_LENGTH_FIELDS[type_])
    if type_ in _NEEDED_BOXES:
        return _Boxes(_NEEDED_BOXES[type_])
    return None


# JPEG stuffs every 0xFF of its image data, so its marker cannot occur there by chance.
_MARKERS = {kinds.PNG: b"IEND\xae\x42\x60\x82", kinds.JPEG: b"\xff\xd9", kinds.GIF: b"\x3b"}

_LENGTH_FIELDS = {kinds.WEBP: (4, 8), kinds.WAV: (4, 8), kinds.GLB: (8, 0)}
"""Where four little-endian bytes of length stand, and what to add to them."""

# A cut between two boxes shows only in what is missing.
_NEEDED_BOXES = {
    kinds.MP4: frozenset({b"moov", b"mdat"}),
    kinds.MOV: frozenset({b"moov", b"mdat"}),
    kinds.AVIF: frozenset({b"meta", b"mdat"}),
}


class _Marker:
    KEPT = 4096

    def __init__(self, marker: bytes) -> None:
        self._marker = marker
        self._tail = b""

    def feed(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk[-self.KEPT :])[-self.KEPT :]

    @property
    def complete(self) -> bool:
        # One byte proves something only as the last one.
        if len(self._marker) == 1:
            return self._tail.rstrip(b"\x00").endswith(self._marker)
        return self._marker in self._tail


class _Declared:
    STREAMED = (0, 0xFFFFFFFF)
    """What a writer puts that did not know the length."""

    def __init__(self, offset: int, extra: int) -> None:
        self._end = offset + 4
        self._extra = extra
        self._start = b""
        self._received = 0

    def feed(self, chunk: bytes) -> None:
        self._received += len(chunk)
        self._start += chunk[: self._end - len(self._start)]

    @property
    def complete(self) -> bool:
        length = int.from_bytes(self._start[-4:], "little")
        whole = length in self.STREAMED or self._received >= length + self._extra
        return len(self._start) == self._end and whole


class _Boxes:
    """Follows the top-level boxes of ISO base media from length to length."""

    MOST = 10_000
    """Boxes looked at; a file made of tiny ones would cost more time than it is worth."""

    def __init__(self, needed: frozenset[bytes]) -> None:
        self._needed = needed
        self._seen: set[bytes] = set()
        self._header = b""
        self._left = 0
        self._count = 0
        self._broken = False
        self._open = False

    def feed(self, chunk: bytes) -> None:
        at = 0
        while at < len(chunk) and not (self._broken or self._open):
            if self._left:
                step = min(self._left, len(chunk) - at)
                self._left -= step
            else:
                step = min(self._wanted() - len(self._header), len(chunk) - at)
                self._header += chunk[at : at + step]
                if len(self._header) == self._wanted():
                    self._enter()
            at += step

    @property
    def complete(self) -> bool:
        at_boundary = self._open or not (self._left or self._header)
        return at_boundary and not self._broken and self._needed <= self._seen

    def _wanted(self) -> int:
        """A size of 1 announces eight more bytes with the real one."""
        return 16 if self._header[:4] == b"\x00\x00\x00\x01" else 8

    def _enter(self) -> None:
        size = int.from_bytes(self._header[8:] or self._header[:4])
        self._count += 1
        self._open = size == 0
        self._broken = self._count > self.MOST or (size < len(self._header) and not self._open)
        self._left = max(0, size - len(self._header))
        if self._count <= self.MOST:
            self._seen.add(self._header[4:8])
        self._header = b""
