"""An httpx client over a guarded session: for requests with bodies, as hooks get them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from httpx_aiohttp import AiohttpTransport

from workers.guard.session import HEADERS, GuardedSession

if TYPE_CHECKING:
    import ssl

    from workers.guard.resolver import Lookup
    from workers.guard.rules import Guard

_DEFAULT_TIMEOUT = httpx.Timeout(15, connect=5, pool=None)


def guarded_client(
    guard: Guard,
    *,
    connections: int,
    timeout: httpx.Timeout = _DEFAULT_TIMEOUT,
    lookup: Lookup | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """Call it inside the running loop and close it there (`async with`, or `aclose()`).

    As its session: it follows nothing and keeps nothing. Read bodies raw: httpx inflates them otherwise.
    GuardRefused reaches the caller of a request as it is.
    """
    session = GuardedSession(guard, connections=connections, lookup=lookup, ssl_context=ssl_context)
    return httpx.AsyncClient(
        transport=_GuardedTransport(session),
        headers=HEADERS,
        timeout=timeout,
        trust_env=False,
        follow_redirects=False,
    )


class _GuardedTransport(httpx.AsyncBaseTransport):
    def __init__(self, session: GuardedSession) -> None:
        self._session = session
        self._inner = AiohttpTransport(verify=session.tls, trust_env=False, client=session.unguarded)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._session.guard.check_url(str(request.url))
        response = await self._inner.handle_async_request(request)
        # httpx has no switch against its cookie jar, and it reads a redirect's target though told not to
        # follow: a malformed one would hide the answer behind an error.
        response.headers.pop("set-cookie", None)
        response.headers.pop("location", None)
        return response

    async def aclose(self) -> None:
        await self._session.aclose()
