"""The process that decodes: `python -m service.darkroom.resident FD`, one per process that shows pictures.

It has imported Pillow once. Over the socket FD it is given sockets, one a job, and forks a child for each:
whatever a hostile file does to a decoder, it does to that child, which has little memory, little time and
writes nothing. A child reads `{"media_type": …}`, a newline and the file to its end, and answers
`{"thumb": bytes, "blur": bytes, "likeness": …}` or `{"why": …}`, a newline and the pictures. It ends when
the other end of FD does.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from PIL import Image

from service.darkroom.develop import UnusableError, develop

if TYPE_CHECKING:
    from io import IOBase

MEMORY_MOST = 1 << 30
"""Bytes of address space; Python and Pillow have a fifth of it before they begin."""
CPU_SECONDS = 10
WALL_SECONDS = 20
SIZE_MOST = 256 << 20
"""Bytes of a file; it is in memory as a whole."""
_NICE = 10
_BLOCK = 1 << 16
_HEADER_MOST = 1024


def main() -> None:
    os.nice(_NICE)
    # A person's ^C is for all of a terminal: we end when the one who started us does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nobody waits for the children: the sockets say how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Once, here, and not in every child.
    Image.init()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        while True:
            told, jobs, _, _ = socket.recv_fds(control, 1, 1)
            if not told:
                return
            for job in jobs:
                _hand_over(job, control)


def _hand_over(job: int, control: socket.socket) -> None:
    try:
        child = os.fork()
    except OSError:
        # No room for one more: whoever asked sees the socket end.
        child = -1
    if child == 0:
        code = 1
        try:
            control.close()
            with socket.socket(fileno=job) as asked:
                _limit()
                _serve(asked)
                code = 0
        finally:
            os._exit(code)
    os.close(job)


def _limit() -> None:
    signal.alarm(WALL_SECONDS)
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_MOST),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        # macOS refuses some of them; there the clock alone is left.
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))


def _serve(asked: socket.socket) -> None:
    answer = _work(asked)
    with suppress(OSError):
        asked.sendall(answer)


def _work(asked: socket.socket) -> bytes:
    try:
        with asked.makefile("rb", _BLOCK) as file:
            wanted = json.loads(file.readline(_HEADER_MOST))
            made = develop(_whole(file), wanted["media_type"])
    except UnusableError as error:
        return _head({"why": str(error)})
    except Exception as error:  # noqa: BLE001 - decoders raise anything over a stranger's bytes
        return _head({"why": f"it cannot be decoded ({type(error).__name__})"})
    sizes = {"thumb": len(made.thumb), "blur": len(made.blur), "likeness": made.likeness}
    return _head(sizes) + made.thumb + made.blur


def _whole(file: IOBase) -> bytes:
    data: bytes = file.read(SIZE_MOST + 1)
    if len(data) > SIZE_MOST:
        raise UnusableError(f"more than {SIZE_MOST} bytes")
    return data


def _head(said: dict[str, object]) -> bytes:
    return json.dumps(said).encode() + b"\n"


if __name__ == "__main__":
    main()
