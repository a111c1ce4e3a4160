"""Width and height from a file's head, without decoding it; a malformed file has none."""

# ruff: noqa: PLR2004 - offsets and markers are the formats' own

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.sniff import kinds

if TYPE_CHECKING:
    from workers.sniff.kinds import FileType

Size = tuple[int, int]


def dimensions(head: bytes, type_: FileType) -> Size | None:
    """Best effort: None when the format has no size, hides it beyond the head, or is broken."""
    reader = _READERS.get(type_)
    size = reader(head) if reader else None
    return size if size and all(size) else None


def _png(head: bytes) -> Size | None:
    if head[12:16] != b"IHDR" or len(head) < 24:
        return None
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


def _gif(head: bytes) -> Size | None:
    return (_little(head[6:8]), _little(head[8:10])) if len(head) >= 10 else None


def _jpeg(head: bytes) -> Size | None:
    """Walks the segments to the first start-of-frame, which holds height, then width."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(head[at + 7 : at + 9]), int.from_bytes(head[at + 5 : at + 7])
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return None


def _webp(head: bytes) -> Size | None:
    chunk = head[12:16]
    if len(head) < 30:
        return None
    if chunk == b"VP8X":
        return _little(head[24:27]) + 1, _little(head[27:30]) + 1
    if chunk == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF
    if chunk == b"VP8L" and head[20] == 0x2F:
        bits = _little(head[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _avif(head: bytes) -> Size | None:
    """The largest of the `ispe` properties: the others belong to a thumbnail or to tiles."""
    sizes: list[Size] = []
    at = head.find(b"ispe")
    while at >= 0 and at + 16 <= len(head):
        sizes.append((int.from_bytes(head[at + 8 : at + 12]), int.from_bytes(head[at + 12 : at + 16])))
        at = head.find(b"ispe", at + 16)
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _movie(head: bytes) -> Size | None:
    """The first track header with a size, when the movie box stands at the front; 16.16 fixed point."""
    at = head.find(b"tkhd")
    while at >= 4:
        end = at - 4 + int.from_bytes(head[at - 4 : at])
        size = int.from_bytes(head[end - 8 : end - 6]), int.from_bytes(head[end - 4 : end - 2])
        if at + 80 <= end <= len(head) and all(size):
            return size
        at = head.find(b"tkhd", at + 4)
    return None


def _little(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


_READERS = {
    kinds.PNG: _png,
    kinds.GIF: _gif,
    kinds.JPEG: _jpeg,
    kinds.WEBP: _webp,
    kinds.AVIF: _avif,
    kinds.MP4: _movie,
    kinds.MOV: _movie,
}
