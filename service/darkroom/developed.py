"""What is made of an image or a video. A module of its own: who only asks for it does not import Pillow."""

from __future__ import annotations

from typing import NamedTuple


class Developed(NamedTuple):
    thumb: bytes
    blur: bytes
    """Both WebP, without any of the original's metadata."""
    likeness: str
    """A difference hash: 64 bits in hexadecimal, near to one another for pictures that look alike."""
