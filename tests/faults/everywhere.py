"""A world in which every address is this machine: what was connected to, and what was not.

Run in a network namespace of its own, by `unshare --net python -m tests.faults.everywhere`. There whatever
connects to whatever address ends at the canaries here, and the kernel counts the attempts on other ports too.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
from contextlib import AsyncExitStack
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from httpx_aiohttp import HttpxAiohttpClient

from tests.faults.chance import Chance
from tests.faults.lures import Lure, drawn
from tests.test_guard import rows
from tests.waiting import wait_until
from workers.guard import Guard, GuardedSession, GuardRefused, guarded_client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    Get = Callable[[str], Awaitable[bytes]]
    """A URL to what stands there."""

TLS = 443
PORTS = (80, TLS, 6379, 8080)
PRIVATE = ip_network("192.168.77.0/24")
PERMITTED = {"permitted.example.com": "9.9.9.9", "inside.example.com": "192.168.77.1"}
ERRORS = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, UnicodeError, ValueError)
"""Whatever a library thinks of such URLs. What counts is where a connection was made."""
EVERY = 100
"""So many lures between two fetches of what is permitted."""


class Canaries:
    def __init__(self) -> None:
        self.accepted: list[str] = []
        """The addresses that were meant."""

    async def listen(self, stack: AsyncExitStack) -> None:
        for host in ("0.0.0.0", "::"):  # noqa: S104  # of a namespace that nobody else is in
            for port in PORTS:
                await stack.enter_async_context(await asyncio.start_server(self._take, host, port))

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, port = writer.get_extra_info("sockname")[:2]
        self.accepted.append(address)
        if port != TLS:
            await reader.readline()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()


def opened() -> int:
    """TCP connections that anybody in this namespace has begun, of both families and to any port."""
    names, numbers = [
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
    ]
    return int(numbers[names.index("ActiveOpens")])


def make_everything_local() -> None:
    for command in (
        "ip link set lo up",
        "ip route add local 0.0.0.0/0 dev lo",
        "ip -6 route add local ::/0 dev lo",
    ):
        subprocess.run(command.split(), check=True)


def lures(seed: str, count: int) -> Iterator[Lure]:
    """Each row of the two tables, as an address and behind a name; then those that are drawn."""
    refused = [text for word, text in rows("addresses.txt") if word == "refused"]
    for number, text in enumerate(refused):
        yield Lure(f"http://[{text}]/" if ":" in text else f"http://{text}/")
        name = f"row{number}.example.com"
        yield Lure(f"http://{name}/", name, (text,))
    yield from (Lure(url) for _, url in rows("urls.txt"))
    # Without its zone an address may be public.
    plain, chance = [text for text in refused if "%" not in text], Chance(seed)
    for number in range(count):
        yield drawn(chance, plain, number)


class Asker:
    def __init__(self, *, guarded: bool) -> None:
        self.answers: dict[str, Sequence[str]] = {name: (address,) for name, address in PERMITTED.items()}
        self.counts = {"refused": 0, "failed": 0, "answered": 0}
        self._guarded = guarded

    async def _lookup(self, host: str, _: int) -> Sequence[str]:
        if host not in self.answers:
            raise OSError(f"{host} has no address")
        return self.answers[host]

    async def clients(self, stack: AsyncExitStack) -> list[Get]:
        """One as for outputs, one as for hooks, each with a private network too; or one without any guard."""
        if not self._guarded:
            return [_by(await stack.enter_async_context(HttpxAiohttpClient(trust_env=False)))]
        made: list[Get] = []
        for private in ((), (PRIVATE,)):
            session = GuardedSession(Guard(("*",), private), connections=8, lookup=self._lookup)
            client = guarded_client(Guard(None, private), connections=8, lookup=self._lookup)
            made.append(_as_fetched(await stack.enter_async_context(session)))
            made.append(_by(await stack.enter_async_context(client)))
        return made

    async def ask(self, get: Get, lure: Lure) -> None:
        if lure.name:
            self.answers[lure.name] = lure.answers
        try:
            await get(lure.url)
        except GuardRefused:
            self.counts["refused"] += 1
        except ERRORS:
            self.counts["failed"] += 1
        else:
            self.counts["answered"] += 1


def _by(client: httpx.AsyncClient) -> Get:
    async def get(url: str) -> bytes:
        return (await client.get(url, timeout=5)).content

    return get


def _as_fetched(session: GuardedSession) -> Get:
    async def get(url: str) -> bytes:
        async with asyncio.timeout(5), await session.get(url, connect=5) as answer:
            return await answer.read()

    return get


async def permitted(get: Get) -> None:
    for name, address in PERMITTED.items():
        port = ":8080" if ip_address(address) in PRIVATE else ""
        assert await get(f"http://{name}{port}/") == b"ok"


async def story(seed: str, count: int, *, guarded: bool) -> dict[str, Any]:
    canaries, asker = Canaries(), Asker(guarded=guarded)
    async with AsyncExitStack() as stack:
        await canaries.listen(stack)
        clients = await asker.clients(stack)
        number = 0
        for number, lure in enumerate(lures(seed, count)):
            if guarded and number % EVERY == 0:
                await permitted(clients[-1 - number // EVERY % 2])
            await asker.ask(clients[number % len(clients)], lure)
        if guarded:
            for _, text in (row for row in rows("addresses.txt") if row[0] == "public"):
                await clients[0](f"http://[{text}]/" if ":" in text else f"http://{text}/")
        await asyncio.to_thread(wait_until, lambda: len(canaries.accepted) >= opened(), 5, "all are accepted")
    accepted = {address: canaries.accepted.count(address) for address in set(canaries.accepted)}
    return {"lures": number + 1, "opened": opened(), "accepted": accepted} | asker.counts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="1")
    parser.add_argument("--urls", type=int, default=1_500)
    parser.add_argument("--unguarded", action="store_true")
    chosen = parser.parse_args()
    make_everything_local()
    print(json.dumps(asyncio.run(story(chosen.seed, chosen.urls, guarded=not chosen.unguarded))))  # noqa: T201  # its answer


if __name__ == "__main__":
    main()
