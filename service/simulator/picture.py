"""A small pattern of two colours, derived from prediction id and output index: what every medium shows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

CELLS = 8
"""Cells per side."""
CELL = 8
"""Pixels per side of one cell; also the block of JPEG."""
SIDE = CELLS * CELL


@dataclass(frozen=True, slots=True)
class Picture:
    red: int
    blue: int
    dark: int
    """Green of the paper. Both colours differ in green only, so that WebP spends one bit on a pixel."""
    light: int
    """Green of the ink, always above `dark`."""
    rows: tuple[tuple[bool, ...], ...]
    """Where the ink is; each row is its own mirror image."""

    def colour(self, row: int, column: int) -> tuple[int, int, int]:
        return self.red, self.light if self.rows[row][column] else self.dark, self.blue


def picture(key: str) -> Picture:
    digest = hashlib.sha256(key.encode()).digest()
    halves = [[bool(byte >> bit & 1) for bit in range(CELLS // 2)] for byte in digest[4 : 4 + CELLS]]
    return Picture(
        red=digest[0],
        blue=digest[1],
        dark=digest[2] % 96,
        light=160 + digest[3] % 96,
        rows=tuple(tuple(half + half[::-1]) for half in halves),
    )
