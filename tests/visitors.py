"""Who comes to the API in the tests: the tokens of both roles, their sessions, peers at other addresses."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from service import clock
from service.web import sessions
from service.web.tokens import Role, Token
from tests.described import NO_TLS, DescribedClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving import Served

ADMIN = "the-admin-token-of-the-tests"
VIEWER = "the-viewer-token-of-the-tests"
TOKENS: dict[str, Any] = {"admin_token": ADMIN, "viewer_token": VIEWER}
OPERATOR_TOKEN, VIEWER_TOKEN = Token.of(ADMIN, Role.OPERATOR), Token.of(VIEWER, Role.VIEWER)
OWN_PAGE = {"sec-fetch-site": "same-origin"}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def cookie(value: str) -> dict[str, str]:
    return {"cookie": f"{sessions.COOKIE}={value}"}


def session(token: Token, *, age: float = 0) -> dict[str, str]:
    """The header of a session that the token opened so many seconds ago."""
    return cookie(sessions.opened(token, clock.now() - age).value)


@asynccontextmanager
async def visitor(server: Served, address: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who has shown nothing yet, at an address of 127.0.0.0/8 that is nobody else's."""
    own = address or "127." + ".".join(str(secrets.randbelow(254) + 1) for _ in range(3))
    transport = httpx.AsyncHTTPTransport(local_address=own, verify=NO_TLS)
    async with DescribedClient(base_url=server.url, transport=transport, timeout=10) as client:
        yield client
