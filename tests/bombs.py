"""Small bodies that inflate to 300 MB of zeros, in every content coding that a client may know.

Brotli and Zstandard are not of the standard library. The first is a literal, what `brotli -q 11 --lgwin=24`
made of the zeros; the second is written here by hand: a frame of blocks that each repeat one byte. Both were
unpacked once by their own libraries.
"""

from __future__ import annotations

import base64
import zlib
from functools import cache

SIZE = 300_000_000
_ZSTD_BLOCK = 131_072
_ZSTD_WINDOW = b"\x38"
"""128 KiB, a whole block."""

_BROTLI = base64.b64decode(
    "z///f/gnAOKxQCD3/p/////wTwDEYQGA7v0/////4Z8AiMMiAN37f/7//8M/ARCHBQC69//8//+HfwIgDgsAdO//+f//D/8EQBwWAOje"
    "//P//x/+CYA4LADQvf/n//8//BMAcVgAoHv/z///f/gnAOKwAED3/p/////wTwDEYQGA7v0/////4Z8AiMMCAN37f/7//8M/ARCHBQC6"
    "9//8//+HfwIgDgsAdO//+f//D/8EQBwWAOje//P//x/+CYA4LADQvf/n//8//BMAcVgAoHv/z///f/gnAOKwAED3/j//RcPxTwDEYQGA"
    "rmY4"
)


@cache
def bombs() -> dict[str, bytes]:
    """By their `Content-Encoding`."""
    once = _gzip(SIZE)
    return {"gzip": once, "gzip, gzip": zlib.compress(once, wbits=31), "br": _BROTLI, "zstd": _zstd(SIZE)}


def _gzip(size: int) -> bytes:
    zeros = bytes(1_000_000)
    packer = zlib.compressobj(9, wbits=-15)
    # Flushed in full it leaves nothing open, and may stand there again and again.
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    times, checksum = size // len(zeros), 0
    for _ in range(times):
        checksum = zlib.crc32(zeros, checksum)
    head, end = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff", b"\x03\0"
    trailer = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
    return head + block * times + end + trailer


def _zstd(size: int) -> bytes:
    # The header says: the size in four bytes, a window, no checksum, no dictionary (RFC 8878, 3.1.1.1).
    frame = b"\x28\xb5\x2f\xfd\x80" + _ZSTD_WINDOW + size.to_bytes(4, "little")
    for at in range(0, size, _ZSTD_BLOCK):
        length = min(_ZSTD_BLOCK, size - at)
        last = at + length == size
        # Block type 1: the one byte that follows, so many times.
        frame += (length << 3 | 1 << 1 | last).to_bytes(3, "little") + b"\0"
    return frame
