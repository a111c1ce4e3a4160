"""Who may use the API: the bearer of the admin token, or without one a person on this very machine."""

from __future__ import annotations

import hmac
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from service.web.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_PROXIED = re.compile(
    r"x-forwarded-.*|(?:forwarded|via|x-real-ip|x-client-ip|true-client-ip|cf-connecting-ip)"
)
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/@\[\]]+))(?::[0-9]*)?")


class Guarded:
    """An ASGI middleware around everything that is neither a callback nor a probe."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if self._token is not None:
            if _bears(headers, self._token):
                return None
            challenge = {"WWW-Authenticate": "Bearer"}
            return Problem(401, "token", "send the admin token: Authorization: Bearer …", challenge)
        if not _from_here(scope, headers):
            detail = "without CATCHLIGHT_ADMIN_TOKEN this answers on loopback only"
            return Problem(403, "loopback_only", detail)
        if _of_another_site(headers):
            return Problem(403, "cross_site", "a page of another site may not use this")
        return None


def _bears(headers: Headers, token: bytes) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token)


def _from_here(scope: Scope, headers: Headers) -> bool:
    """A local peer, no proxy in between, and a Host that no foreign page can have resolved to us."""
    peer = scope["client"][0] if scope.get("client") else ""
    # HTTP/1.0 is what a proxy speaks that adds none of these headers.
    proxied = scope["http_version"] == "1.0" or any(_PROXIED.fullmatch(name) for name in headers)
    return _is_loopback(peer) and not proxied and all(map(_names_loopback, headers.getlist("host") or [""]))


def _of_another_site(headers: Headers) -> bool:
    """A browser lets any page post to us, and the posts of the person's own browser come from here."""
    origin = headers.get("origin")
    foreign = origin is not None and not _names_loopback(origin.partition("://")[2])
    return foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _names_loopback(authority: str) -> bool:
    match = _AUTHORITY.fullmatch(authority)
    return match is not None and _is_loopback((match[1] or match[2]).lower())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
