"""The bytes of an output: a function of prediction id, index, extension and size; none are stored."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from service.simulator.images import jpeg, png, webp
from service.simulator.picture import picture
from service.simulator.video import mp4

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.simulator.picture import Picture

_ENCODERS: dict[str, tuple[str, Callable[[Picture, bytes, bytes], bytes]]] = {
    "png": ("image/png", png),
    "jpg": ("image/jpeg", jpeg),
    "webp": ("image/webp", webp),
    "mp4": ("video/mp4", mp4),
}
EXTENSIONS = tuple(_ENCODERS)


def media_type(extension: str) -> str:
    return _ENCODERS[extension][0]


def render(id_: str, index: int, extension: str, size: int = 0) -> bytes:
    """A whole file of at least `size` bytes; the padding sits where decoders do not look."""
    encode = _ENCODERS[extension][1]
    note = f"{id_}/{index}".encode()
    image = picture(f"{id_}/{index}")
    bare = encode(image, note, b"")
    return encode(image, note, _noise(note, size - len(bare))) if size > len(bare) else bare


def _noise(seed: bytes, length: int) -> bytes:
    block = hashlib.shake_256(seed).digest(4096)
    return (block * (length // len(block) + 1))[:length]
