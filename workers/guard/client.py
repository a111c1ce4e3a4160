"""An httpx client that checks every URL it is given and every address it connects to.

aiohttp asks its resolver only for names, so the transport checks URLs, and so literal addresses, first.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

if TYPE_CHECKING:
    import ssl

    from workers.guard.rules import Guard

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Name and port to the texts of all its addresses; raises OSError when there are none."""

CHUNK = 256 * 1024
"""Bytes: what the loop reads from a socket at once. The transport's own 16 KiB, or aiohttp's 64 KiB of
buffer, cut it into pieces, and each piece goes through five layers.
"""

_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "catchlight"}
_DEFAULT_TIMEOUT = httpx.Timeout(15, connect=5, pool=None)


def guarded_client(
    guard: Guard,
    *,
    connections: int,
    timeout: httpx.Timeout = _DEFAULT_TIMEOUT,
    lookup: Lookup | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> GuardedClient:
    """Call it inside the running loop and close it there (`async with`, or `aclose()`).

    Follows no redirects (a target stands in `response.extensions["redirect_target"]`), keeps no cookies,
    ignores proxies, asks for identity encoding. Read bodies raw: httpx inflates them otherwise. GuardRefused
    reaches the caller of a request as it is.
    """
    tls = ssl_context or _shared_tls()
    resolver = GuardedResolver(guard, lookup or SystemLookup(threads=min(connections, 32)))
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=resolver, use_dns_cache=False, force_close=False, limit=connections, ssl=tls
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=CHUNK,
    )
    return GuardedClient(
        _GuardedTransport(guard, AiohttpTransport(verify=tls, trust_env=False, client=session), resolver),
        timeout,
    )


class GuardedClient(httpx.AsyncClient):
    def __init__(self, transport: _GuardedTransport, timeout: httpx.Timeout) -> None:
        super().__init__(
            transport=transport, headers=_HEADERS, timeout=timeout, trust_env=False, follow_redirects=False
        )
        self._guarded = transport

    async def ask(self, url: str, *, connect: float) -> httpx.Response:
        """A plain GET, its answer unread: close it. `connect` in seconds; the rest is the caller's patience.

        As `send` with `stream=True`, without what a GET of ours never needs: cookies, auth and redirects,
        which cost as much as the request.
        """
        timeout = httpx.Timeout(None, connect=connect).as_dict()
        return await self._guarded.handle_async_request(
            httpx.Request("GET", url, headers=self.headers, extensions={"timeout": timeout})
        )


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


class _GuardedTransport(httpx.AsyncBaseTransport):
    def __init__(self, guard: Guard, inner: AiohttpTransport, resolver: GuardedResolver) -> None:
        self._guard = guard
        self._inner = inner
        self._resolver = resolver

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._guard.check_url(str(request.url))
        response = await self._inner.handle_async_request(request)
        # httpx has no switch against its cookie jar, and it reads a redirect's target though told not to
        # follow: a malformed one would hide the answer behind an error.
        response.headers.pop("set-cookie", None)
        response.extensions["redirect_target"] = response.headers.pop("location", None)
        if isinstance(response.stream, AiohttpResponseStream):
            response.stream.CHUNK_SIZE = CHUNK
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()
        await self._resolver.close()


@functools.cache
def _shared_tls() -> ssl.SSLContext:
    """The bundled authorities and the system's, a private one among them; loading takes 70 ms, so once."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
