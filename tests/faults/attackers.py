"""Attackers, many in one process: `python -m tests.faults.attackers stalled|forged --help`.

Says `ready` once the attack is under way, ends at SIGTERM (and by itself after two minutes), and prints what
it came to as one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import secrets
import signal
import sys
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.serving import PATH, callback, sign

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 120.0
_SPARE_FILES = 100
_HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n"
_STARTS = (b"", _HEAD.encode() + b"webhook-id: x", _HEAD.encode() + b"Content-Length: 1000\r\n\r\n{")
"""Where a third of the connections stalls each: before it began, in the header, in the body."""
_SENDERS = 50


class Stalled:
    """So many connections that send no more, each opened again as soon as the server ends it."""

    def __init__(self, port: int, count: float) -> None:
        self.ready = asyncio.Event()
        self._port = port
        self._count = int(count)
        self._open = 0
        self._opened = 0
        self._refused = 0
        self._samples: list[int] = []

    async def attack(self) -> None:
        allow_open_files(self._count)
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._count):
                tasks.create_task(self._stall(_STARTS[number % len(_STARTS)]))
            while True:
                await asyncio.sleep(0.2)
                self._samples.append(self._open)
                if self._open == self._count:
                    self.ready.set()

    async def _stall(self, start: bytes) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                self._refused += 1
                await asyncio.sleep(0.1)
                continue
            self._opened += 1
            self._open += 1
            try:
                with suppress(ConnectionError):
                    writer.write(start)
                    await reader.read()
            finally:
                self._open -= 1
                writer.close()

    def report(self) -> dict[str, object]:
        held = self._samples or [0]
        return {
            "least_open": min(held[held.index(max(held)) :]),
            "mean_open": round(sum(held) / len(held)),
            "opened": self._opened,
            "refused": self._refused,
        }


class Forged:
    """So many callbacks a second that look genuine but for their signature."""

    def __init__(self, port: int, rate: float) -> None:
        self.ready = asyncio.Event()
        self._port = port
        self._rate = rate
        self._answers: Counter[str] = Counter()
        self._began = 0.0

    async def attack(self) -> None:
        self._began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            for number in range(_SENDERS):
                tasks.create_task(self._send(number))

    async def _send(self, number: int) -> None:
        """Its share, each in its turn; what is late is made up for."""
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        turn = number
        try:
            while True:
                await asyncio.sleep(self._began + turn / self._rate - loop.time())
                writer.write(_forgery())
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
                self._answers[head[9:12].decode()] += 1
                self.ready.set()
                turn += _SENDERS
        finally:
            writer.close()

    def report(self) -> dict[str, object]:
        seconds = asyncio.get_running_loop().time() - self._began
        return {"per_second": round(self._answers.total() / seconds), "answers": dict(self._answers)}


def _forgery() -> bytes:
    body = callback(f"forged_{secrets.token_hex(8)}")
    headers = sign(b"", secret="") | {"webhook-signature": f"v3,{secrets.token_hex(32)}"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{_HEAD}{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def allow_open_files(connections: int) -> None:
    """Raises SystemExit when this machine does not."""
    wanted = connections + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"{connections} connections need {wanted} open files; `ulimit -Hn` says {hard}")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


KINDS: dict[str, type[Stalled | Forged]] = {"stalled": Stalled, "forged": Forged}


async def attack(kind: str, port: int, many: float) -> dict[str, object]:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    attackers = KINDS[kind](port, many)
    attacking = asyncio.create_task(attackers.attack())
    ready = asyncio.create_task(attackers.ready.wait())
    await asyncio.wait({attacking, ready}, return_when=asyncio.FIRST_COMPLETED)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST):
            ended = asyncio.create_task(over.wait())
            await asyncio.wait({attacking, ended}, return_when=asyncio.FIRST_COMPLETED)
    came_to = attackers.report()
    attacking.cancel()
    with suppress(asyncio.CancelledError):
        await attacking
    return came_to


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.attackers", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--many", type=float, required=True, help="connections, or callbacks a second")
    options = parser.parse_args(arguments)
    sys.stdout.write(json.dumps(asyncio.run(attack(options.kind, options.port, options.many))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
