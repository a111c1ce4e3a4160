"""The origin of outputs: a process of its own, so many bytes so many milliseconds after they are asked for.

python -m tests.bench.origin --port 9000 --bytes 1000000 --delay 0.05
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket

from workers.sniff import HEAD

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00\x00\x00\x04\x00\x08\x02\x00\x00\x00"


class Asked(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and without pipelining: all that a client in good order needs."""

    def __init__(self, answer: bytes, delay: float) -> None:
        self._answer = answer
        self._delay = delay
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if self._heard.endswith(b"\r\n\r\n"):
            self._heard = b""
            asyncio.get_running_loop().call_later(self._delay, self._give)

    def _give(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._answer)


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
