"""Names to addresses that were checked: resolved once, and connected to exactly as they passed."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from workers.guard.rules import Guard

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Name and port to the texts of all its addresses; raises OSError when there are none."""


class GuardedResolver(AbstractResolver):
    """Resolves once and hands on exactly the addresses it checked; every answer has to pass."""

    def __init__(self, guard: Guard, lookup: Lookup, *, timeout: float = 5.0) -> None:
        self._guard = guard
        self._lookup = lookup
        self._timeout = timeout

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        del family  # happy eyeballs wants both
        async with asyncio.timeout(self._timeout):
            answers = await self._lookup(host, port)
        addresses = [ip_address(answer) for answer in dict.fromkeys(answers)]
        if not addresses:
            raise OSError(f"{host} has no address")
        self._guard.check_answers(host, port, addresses)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        if isinstance(self._lookup, SystemLookup):
            self._lookup.close()


class SystemLookup:
    """getaddrinfo on threads of its own: the loop's default executor is six threads and busy with files."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lookup")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        answers = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [str(answer[4][0]) for answer in answers]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
