"""An aiohttp session that checks every URL it is given and every address it connects to.

aiohttp asks its resolver only for names, so URLs, and so literal addresses, are checked first.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Self

import aiohttp
import httpx
from yarl import URL

from workers.guard.resolver import GuardedResolver, Lookup, SystemLookup
from workers.guard.spelling import GuardRefused

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from workers.guard.rules import Guard

CHUNK = 256 * 1024
"""Bytes: what the loop reads from a socket at once. Of aiohttp's own 64 KiB each piece costs as much."""

HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "catchlight"}


class GuardedSession:
    """Follows no redirects, keeps no cookies, ignores proxies, asks for identity encoding, inflates nothing.

    Make it inside the running loop and close it there. GuardRefused reaches the caller of a request as it is.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        connections: int,
        lookup: Lookup | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.guard = guard
        self.tls = ssl_context or _shared_tls()
        self._resolver = GuardedResolver(guard, lookup or SystemLookup(threads=min(connections, 32)))
        self.unguarded = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,
                force_close=False,
                limit=connections,
                ssl=self.tls,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=CHUNK,
            headers=HEADERS,
        )
        """For whoever checks URLs first."""

    async def get(self, url: str, *, connect: float) -> aiohttp.ClientResponse:
        """A plain GET, its answer unread: close it. `connect` in seconds; the rest is the caller's patience.

        Raises GuardRefused, aiohttp.ClientError, OSError.
        """
        target = self.guard.check_url(url)
        parsed = URL(url)
        if (parsed.scheme, parsed.host, parsed.port) != (target.scheme, target.host, target.port):
            # Two readings of one text are how a guard is led astray; `spelling` should have refused it.
            raise GuardRefused("refused_host", "the URL can be read in two ways")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect)
        return await self.unguarded.get(parsed, allow_redirects=False, timeout=timeout)

    async def aclose(self) -> None:
        await self.unguarded.close()
        await self._resolver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


@functools.cache
def _shared_tls() -> ssl.SSLContext:
    """The bundled authorities and the system's, a private one among them; loading takes 70 ms, so once."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
