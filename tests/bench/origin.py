"""The origin of outputs: a process of its own, so many bytes so many milliseconds after they are asked for.

`python -m tests.bench.origin --port 9000 --bytes 1000000 --delay 0.05`
"""

from __future__ import annotations

import argparse
import asyncio
import random

from tests.bench.kept_alive import KeptAlive
from workers.sniff import HEAD

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00\x00\x00\x04\x00\x08\x02\x00\x00\x00"


class Asked(KeptAlive):
    def __init__(self, answer: bytes, delay: float) -> None:
        self._answer = answer
        self._delay = delay

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.heard.endswith(b"\r\n\r\n"):
            self.heard = b""
            asyncio.get_running_loop().call_later(self._delay, self._give)

    def _give(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._answer)


def answer(size: int) -> bytes:
    """Of bytes that nobody can compress; an image by its head."""
    body = PNG + random.Random(1).randbytes(max(size, HEAD) - len(PNG))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def serve(port: int, size: int, delay: float) -> None:
    whole = answer(size)
    server = await asyncio.get_running_loop().create_server(lambda: Asked(whole, delay), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    parser.add_argument("--delay", type=float, default=0.05)
    asked = parser.parse_args()
    asyncio.run(serve(asked.port, asked.bytes, asked.delay))


if __name__ == "__main__":
    main()
