"""The hook that is told: a process of its own that notes when it heard of each prediction, and answers 204.

`python -m tests.bench.hook --port 9001 --notes FILE`

A line per event: the prediction's id, the instant on the clock that all processes share, 1 when every file
that the event names stood where it says, and the bytes of the request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tests.bench.kept_alive import KeptAlive, length

if TYPE_CHECKING:
    from typing import TextIO

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Told(KeptAlive):
    def __init__(self, notes: TextIO) -> None:
        self._notes = notes

    def data_received(self, data: bytes) -> None:
        self.heard += data
        head, found, body = self.heard.partition(b"\r\n\r\n")
        if not found or len(body) < length(head):
            return
        at, size = time.time(), len(self.heard)
        self.heard = b""
        event = json.loads(body)["data"]
        stored = all(_stands(output["uri"]) for output in event["outputs"])
        self._notes.write(f"{event['id']} {at:.6f} {stored:d} {size}\n")
        self.transport.write(ANSWER)


def _stands(uri: str) -> bool:
    return Path(unquote(urlsplit(uri).path)).is_file()


async def serve(port: int, notes: TextIO) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Told(notes), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--notes", type=Path, required=True)
    asked = parser.parse_args()
    with asked.notes.open("w", buffering=1, encoding="utf-8") as notes:
        asyncio.run(serve(asked.port, notes))


if __name__ == "__main__":
    main()
