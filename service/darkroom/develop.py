"""From the bytes of an image or a video to small pictures of it. Runs in a child of `resident` only."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import TYPE_CHECKING

from PIL import Image, ImageFilter, ImageOps

from service.darkroom.developed import Developed

if TYPE_CHECKING:
    from typing import Final

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
"""All others that Pillow reads are nobody's output: among them one that starts a PostScript interpreter."""
MOST_PIXELS = 80_000_000
THUMB_SIDE = 480
BLUR_SIDE = 32
"""Pixels of the longest side."""
_BLUR_RADIUS = 1.5
_HASH_SIDE = 8
_PLAIN = {"L", "LA", "RGB", "RGBA"}
_GREY = (128, 128, 128)


class UnusableError(Exception):
    """No picture can be made of it; the text says why."""


def develop(data: bytes, media_type: str) -> Developed:
    """Raises UnusableError, and whatever a decoder raises."""
    image = _first_frame(data) if media_type.startswith("video/") else _opened(data)
    thumb = _small(image)
    flat = _flat(thumb)
    return Developed(_encoded(thumb, 78), _encoded(_blurred(flat), 50), _likeness(flat))


def _opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    _check(*image.size)
    # A JPEG is decoded at a fraction of its size at once.
    image.draft("RGB", (2 * THUMB_SIDE, 2 * THUMB_SIDE))
    return image


def _check(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise UnusableError(f"{width} x {height} pixels, more than {MOST_PIXELS}")


def _first_frame(data: bytes) -> Image.Image:
    try:
        import av  # noqa: PLC0415 - of the extra `video`; without it there is no poster
    except ImportError:
        raise UnusableError("a poster of a video needs the extra catchlight[video]") from None
    with av.open(io.BytesIO(data)) as container:
        if not container.streams.video:
            raise UnusableError("a video without a picture")
        stream = container.streams.video[0]
        _check(stream.width, stream.height)
        for frame in container.decode(stream):
            found: Image.Image = frame.to_image()
            return found
    raise UnusableError("a video without a frame")


def _small(image: Image.Image) -> Image.Image:
    """Upright, in a plain mode, and a picture of its own: what stood beside the pixels stays behind."""
    if image.mode not in _PLAIN:
        image = _plain(image)
    image.thumbnail((THUMB_SIDE, THUMB_SIDE), reducing_gap=2.0)
    upright = ImageOps.exif_transpose(image)
    bare = Image.new(upright.mode, upright.size)
    bare.paste(upright)
    return bare


def _plain(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # 16 bits of grey; `convert` alone would cut off all but the darkest.
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    has_holes = image.mode in {"PA", "La", "RGBa"} or "transparency" in image.info
    return image.convert("RGBA" if has_holes else "RGB")


def _flat(image: Image.Image) -> Image.Image:
    if not image.mode.endswith("A"):
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, _GREY)
    ground.paste(image.convert("RGBA"), mask=image.getchannel("A"))
    return ground


def _blurred(flat: Image.Image) -> Image.Image:
    tiny = flat.copy()
    tiny.thumbnail((BLUR_SIDE, BLUR_SIDE))
    return tiny.filter(ImageFilter.GaussianBlur(_BLUR_RADIUS))


def _likeness(flat: Image.Image) -> str:
    grey = flat.convert("L").resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BOX)
    rows = [grey.crop((0, row, _HASH_SIDE + 1, row + 1)).tobytes() for row in range(_HASH_SIDE)]
    bits = [left < right for row in rows for left, right in pairwise(row)]
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def _encoded(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()
