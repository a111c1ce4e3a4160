"""Genuine callbacks at a steady rate, from a process of their own: `python -m tests.faults.genuine --help`.

Each is about a prediction of its own, comes on a connection of its own, and is timed from the moment it was
due: what waits for another one's answer counts as waiting. Prints what came of them as one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from tests.serving import PATH, callback, sign

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 10.0
"""Seconds; a provider may well wait longer."""


@dataclass
class Told:
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Seconds; of none at all, none is too long."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def tell(port: int, rate: float, seconds: float, name: str) -> Told:
    """`rate` callbacks a second; their ids begin with `name`."""
    loop = asyncio.get_running_loop()
    told, began = Told(), loop.time()

    async def one(number: int) -> None:
        due = began + number / rate
        await asyncio.sleep(due - loop.time())
        try:
            async with asyncio.timeout(PATIENCE):
                status = await _call_back(port, f"{name}_{number}")
        except (OSError, TimeoutError) as error:
            told.errors.append(repr(error))
            return
        told.seconds.append(loop.time() - due)
        if status != "200":
            told.errors.append(status)

    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    return told


async def _call_back(port: int, id_: str) -> str:
    """The answer's status; empty when the connection ended without one."""
    body = callback(id_)
    headers = sign(body, message=id_) | {"Content-Length": str(len(body)), "Connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{lines}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode() + body)
        answer = await reader.read()
    finally:
        writer.close()
    return answer[9:12].decode()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.genuine", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=20, help="per second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--name", default="genuine", help="what the predictions' ids begin with")
    options = parser.parse_args(arguments)
    told = asyncio.run(tell(options.port, options.rate, options.seconds, options.name))
    sys.stdout.write(json.dumps(asdict(told)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
