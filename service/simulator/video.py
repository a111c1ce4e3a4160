"""A film of one frame: an MP4 whose only sample is a JPEG picture."""

from __future__ import annotations

import struct

from service.simulator.images import jpeg
from service.simulator.picture import SIDE, Picture

_SECOND = 1000
"""Ticks; the film lasts one second."""
_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def mp4(image: Picture, note: bytes, padding: bytes) -> bytes:
    frame = jpeg(image, note, b"")
    head = _box(b"ftyp", b"isom" + struct.pack(">I", 512) + b"isomiso2mp41")
    free = _box(b"free", note + padding)
    # The movie names its frame's place in the file, and its own length does not depend on that number.
    place = len(head) + len(free) + len(_movie(0, len(frame))) + 8
    return head + free + _movie(place, len(frame)) + _box(b"mdat", frame)


def _box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I", len(data) + 8) + kind + data


def _full(kind: bytes, flags: int, *parts: bytes) -> bytes:
    """A box with a version (0) and flags."""
    return _box(kind, struct.pack(">I", flags), *parts)


def _movie(place: int, length: int) -> bytes:
    header = _full(
        b"mvhd",
        0,
        struct.pack(">IIIIIH10x", 0, 0, _SECOND, _SECOND, 0x10000, 0x100),
        _UNITY,
        struct.pack(">24xI", 2),
    )
    return _box(b"moov", header, _box(b"trak", _track_header(), _media(place, length)))


def _track_header() -> bytes:
    return _full(
        b"tkhd",
        3,
        struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, _SECOND, 0, 0, 0, 0),
        _UNITY,
        struct.pack(">II", SIDE << 16, SIDE << 16),
    )


def _media(place: int, length: int) -> bytes:
    clock = _full(b"mdhd", 0, struct.pack(">IIIIHH", 0, 0, _SECOND, _SECOND, 0x55C4, 0))
    handler = _full(b"hdlr", 0, struct.pack(">I4s12x", 0, b"vide"), b"picture\0")
    here = _box(b"dinf", _full(b"dref", 0, struct.pack(">I", 1), _full(b"url ", 1)))
    information = _box(b"minf", _full(b"vmhd", 1, bytes(8)), here, _samples(place, length))
    return _box(b"mdia", clock, handler, information)


def _samples(place: int, length: int) -> bytes:
    look = struct.pack(">6xH16xHHIIIH32sHh", 1, SIDE, SIDE, 72 << 16, 72 << 16, 0, 1, b"", 24, -1)
    return _box(
        b"stbl",
        _full(b"stsd", 0, struct.pack(">I", 1), _box(b"jpeg", look)),
        _full(b"stts", 0, struct.pack(">III", 1, 1, _SECOND)),
        _full(b"stsc", 0, struct.pack(">IIII", 1, 1, 1, 1)),
        _full(b"stsz", 0, struct.pack(">III", 0, 1, length)),
        _full(b"stco", 0, struct.pack(">II", 1, place)),
    )
