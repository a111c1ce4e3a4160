"""Who may use the API: a token or a session of one, or without a token a person on this very machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import structlog
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse

from service import clock
from service.web import origins, sessions, tokens
from service.web.attempts import Attempts
from service.web.problems import Problem, Refusal
from service.web.tokens import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from service.web.tokens import Token

log = structlog.get_logger("access")

SIGN_IN = "/sign-in"
_READING = ("GET", "HEAD")
_NO_PAGES = (
    "/api/",
    "/openapi.json",
    "/asyncapi.json",
    "/metrics",
    "/livez",
    "/readyz",
    "/live",
    "/webhooks/",
    "/media/",
)
_HOW = f"send Authorization: Bearer and the admin or the viewer token, or sign in at {SIGN_IN}"


class Guarded:
    """An ASGI middleware around everything that is neither a callback nor a probe."""

    def __init__(self, app: ASGIApp, check: Callable[[Scope], None]) -> None:
        self._app = app
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope)
            except Refusal as refusal:
                is_new = refusal.answer.status_code == 401  # noqa: PLR2004  # not signed in
                if is_new and scope["method"] in _READING and wants_page(scope):
                    await _to_sign_in(scope)(scope, receive, send)
                    return
                raise
        await self._app(scope, receive, send)


class Access:
    def __init__(self, known: Sequence[Token], attempts: Attempts | None = None) -> None:
        self._tokens = tuple(known)
        self._attempts = attempts or Attempts()

    @property
    def asks(self) -> bool:
        """For a token, and so there are sessions to end."""
        return bool(self._tokens)

    def check(self, scope: Scope) -> None:
        """Raises Refusal: 401, 403, or 429 after too many wrong tokens."""
        headers = Headers(scope=scope)
        role = Role.OPERATOR
        if not self._tokens:
            _check_this_machine(scope, headers)
        else:
            role = self._role(scope, headers)
        scope.setdefault("state", {})["role"] = role
        if role is Role.VIEWER and scope["method"] not in _READING:
            detail = f"this needs the role {Role.OPERATOR}, the admin token's; yours is {Role.VIEWER}"
            raise Refusal(Problem(403, "read_only", detail))

    def check_entrance(self, scope: Scope) -> None:
        """For the way in, where nobody has shown anything yet. Raises Refusal: 403."""
        headers = Headers(scope=scope)
        if not self._tokens:
            _check_this_machine(scope, headers)
        elif origins.of_a_page(headers) or _session(headers) is not None:
            _check_own_page(scope, headers)

    def token(self, scope: Scope, given: str) -> Token:
        """The token that the peer gave. Raises Refusal: 401, 429, or 409 when none is set."""
        if not self._tokens:
            raise Refusal(Problem(409, "no_token", "no token is set: on this machine none is needed"))
        peer = origins.peer(scope)
        wait = math.ceil(self._attempts.wait(peer))
        if wait > 0:
            detail = f"too many wrong tokens: the next one is looked at in {wait} s"
            raise Refusal(Problem(429, "too_many_attempts", detail, {"Retry-After": str(wait)}))
        found = tokens.match(self._tokens, given)
        if found is None:
            self._attempts.failed(peer)
            log.warning("token.refused", peer=peer)
            raise _unauthenticated(f"the token is wrong: {_HOW}")
        self._attempts.succeeded(peer)
        return found

    def _role(self, scope: Scope, headers: Headers) -> Role:
        given = _bearer(headers)
        if given is not None:
            return self.token(scope, given).role
        session = _session(headers)
        if session is None:
            raise _unauthenticated(_HOW)
        role = sessions.role_of(self._tokens, session, clock.now())
        if role is None:
            raise _unauthenticated(f"the session has ended: {_HOW}")
        _check_own_page(scope, headers)
        return role


def _unauthenticated(detail: str) -> Refusal:
    return Refusal(Problem(401, "token", detail, {"WWW-Authenticate": "Bearer"}))


def _check_this_machine(scope: Scope, headers: Headers) -> None:
    if not origins.from_here(scope, headers):
        detail = "without CATCHLIGHT_ADMIN_TOKEN this answers on loopback only"
        raise Refusal(Problem(403, "loopback_only", detail))
    if origins.of_another_site(headers):
        raise _cross_site("a page of another site may not use this")


def _check_own_page(scope: Scope, headers: Headers) -> None:
    """A browser adds its cookie to whatever a page asks for; only reading is harmless then."""
    if scope["method"] not in _READING and not origins.of_our_own_page(headers):
        raise _cross_site("with a session this takes Sec-Fetch-Site: same-origin, or our own Origin")


def _cross_site(detail: str) -> Refusal:
    return Refusal(Problem(403, "cross_site", detail))


def _bearer(headers: Headers) -> str | None:
    """Another scheme is somebody else's, say a proxy's in front."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def _session(headers: Headers) -> str | None:
    return cookie_parser("; ".join(headers.getlist("cookie"))).get(sessions.COOKIE)


def wants_page(scope: Scope) -> bool:
    """A browser came for a page, not a program for data."""
    return "text/html" in Headers(scope=scope).get("accept", "") and not scope["path"].startswith(_NO_PAGES)


def _to_sign_in(scope: Scope) -> RedirectResponse:
    query = scope["query_string"].decode("latin-1")
    wanted = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': wanted})}", 303)
