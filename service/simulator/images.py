"""Encoders of one picture as PNG, JPEG and WebP, each with room for a note and for padding.

Complete and valid by the letter of each format, and no larger than that takes; real decoders read them.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from service.simulator.picture import CELL, CELLS, SIDE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from service.simulator.picture import Picture

_LONGEST_COMMENT = 65_533


def png(image: Picture, note: bytes, padding: bytes) -> bytes:
    lines = [
        b"".join(bytes(image.colour(row, column)) * CELL for column in range(CELLS)) for row in range(CELLS)
    ]
    chunks = [
        _png_chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)),
        _png_chunk(b"tEXt", b"Comment\0" + note),
        # Lower case twice: ancillary and private, so that every decoder passes over it.
        *([_png_chunk(b"paDd", padding)] if padding else []),
        _png_chunk(b"IDAT", zlib.compress(b"".join((b"\0" + line) * CELL for line in lines))),
        _png_chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg(image: Picture, note: bytes, padding: bytes) -> bytes:
    """Baseline, three components, one flat block per cell: a block is its mean colour and an end mark."""
    comments = [
        note,
        *(padding[at : at + _LONGEST_COMMENT] for at in range(0, len(padding), _LONGEST_COMMENT)),
    ]
    components = b"".join(bytes((number, 0x11, 0)) for number in (1, 2, 3))
    # Twelve codes of four bits, so that the code of a magnitude category is the category itself.
    dc_table = bytes([0x00, 0, 0, 0, 12, *[0] * 12, *range(12)])
    # One code of one bit: "no more coefficients in this block".
    ac_table = bytes([0x10, 1, *[0] * 15, 0x00])
    scan = b"".join(bytes((number, 0x00)) for number in (1, 2, 3))
    return b"".join(
        [
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0" + struct.pack(">HBHHBB", 0x0101, 0, 1, 1, 0, 0)),
            *(_segment(0xFE, comment) for comment in comments),
            # The mean's step is 8 and the transform's gain is 8: a coefficient is the sample minus 128.
            _segment(0xDB, b"\0" + bytes([8, *[1] * 63])),
            _segment(0xC0, struct.pack(">BHHB", 8, SIDE, SIDE, 3) + components),
            _segment(0xC4, dc_table),
            _segment(0xC4, ac_table),
            _segment(0xDA, b"\x03" + scan + b"\0\x3f\0"),
            _scan(image),
            b"\xff\xd9",
        ]
    )


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _scan(image: Picture) -> bytes:
    before = [0, 0, 0]
    bits: list[str] = []
    for row in range(CELLS):
        for column in range(CELLS):
            for channel, level in enumerate(_levels(*image.colour(row, column))):
                bits.append(_difference(level - before[channel]) + "0")
                before[channel] = level
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


def _levels(red: int, green: int, blue: int) -> Iterator[int]:
    """Luma and both chroma around zero, as JFIF defines them, from -128 to 127."""
    yield round(0.299 * red + 0.587 * green + 0.114 * blue) - 128
    yield min(127, round(-0.1687 * red - 0.3313 * green + 0.5 * blue))
    yield min(127, round(0.5 * red - 0.4187 * green - 0.0813 * blue))


def _difference(value: int) -> str:
    """Category in four bits, then the value in as many bits; negatives count from below."""
    category = abs(value).bit_length()
    if not category:
        return "0000"
    return f"{category:04b}" + f"{value if value > 0 else value + (1 << category) - 1:0{category}b}"


def webp(image: Picture, note: bytes, padding: bytes) -> bytes:
    """Lossless, in the extended container, whose unknown chunks readers must ignore."""
    size = (SIDE - 1).to_bytes(3, "little")
    chunks = [
        _riff_chunk(b"VP8X", b"\0\0\0\0" + size + size),
        _riff_chunk(b"VP8L", _lossless(image)),
        _riff_chunk(b"note", note),
        *([_riff_chunk(b"padd", padding)] if padding else []),
    ]
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _lossless(image: Picture) -> bytes:
    fields = [
        *((SIDE - 1, 14), (SIDE - 1, 14), (0, 1), (0, 3)),  # width, height, no alpha, version
        *((0, 1), (0, 1), (0, 1)),  # no transform, no colour cache, no meta codes
        *((1, 1), (1, 1), (1, 1), (image.dark, 8), (image.light, 8)),  # green: two symbols of one bit each
        *_constant(image.red),
        *_constant(image.blue),
        *_constant(255),
        *_constant(0),
    ]
    pixels = ((int(image.rows[y // CELL][x // CELL]), 1) for y in range(SIDE) for x in range(SIDE))
    return b"\x2f" + _pack([*fields, *pixels])


def _constant(symbol: int) -> Iterable[tuple[int, int]]:
    """A prefix code of one symbol, which then costs no bits in the pixels."""
    return (1, 1), (0, 1), (1, 1), (symbol, 8)


def _pack(fields: Iterable[tuple[int, int]]) -> bytes:
    value = place = 0
    for number, width in fields:
        value |= number << place
        place += width
    return value.to_bytes((place + 7) // 8, "little")
