"""The provider's API as far as polling asks it: every prediction is completed, its one output at the origin.

`python -m tests.bench.provider --port 9002 --origin 9000`
"""

from __future__ import annotations

import argparse
import asyncio

from tests.bench import callbacks
from tests.bench.kept_alive import KeptAlive, length


class Polled(KeptAlive):
    def __init__(self, origin: int) -> None:
        self._output = f"http://127.0.0.1:{origin}/{{id}}.png"

    def data_received(self, data: bytes) -> None:
        self.heard += data
        head, found, asked = self.heard.partition(b"\r\n\r\n")
        if not found or len(asked) < length(head):
            return
        self.heard = b""
        path = head.split(b" ", 2)[1].decode()
        # Of a list page, an empty one is the last: then all that is due is asked for by its id.
        said = (
            b'{"items":[]}' if head.startswith(b"POST") else callbacks.body(path.split("/")[2], self._output)
        )
        body = b'{"code":200,"message":"success","data":' + said + b"}"
        self.transport.write(_head(len(body)) + body)


def _head(length: int) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()


async def serve(port: int, origin: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Polled(origin), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--origin", type=int, required=True)
    asked = parser.parse_args()
    asyncio.run(serve(asked.port, asked.origin))


if __name__ == "__main__":
    main()
