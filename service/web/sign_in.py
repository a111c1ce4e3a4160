"""The way in for browsers: a page that asks for the token, and the session that the token opens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from starlette.middleware import Middleware
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from service import clock
from service.web import body, cookies, schemas, sessions
from service.web.access import SIGN_IN, Guarded
from service.web.dashboard import forms
from service.web.dashboard.look import THEME, THEMES
from service.web.problems import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from service.web.access import Access
    from service.web.dashboard.look import Look
    from service.web.tokens import Token

SIGN_OUT = "/sign-out"
BODY_MOST = 8192
_FIELDS_MOST = 8
_THEME_LIVES = 365 * 86_400
"""Seconds."""
_KEPT = ("www-authenticate", "retry-after")
_NO_GOALS = ("/session", "/theme", SIGN_OUT, SIGN_IN, "/live")
# A browser takes `//host` and `/\host` for another site's address.
_LOCAL = re.compile(r"/(?![/\\])[!-~]{0,2000}")


class SignIn:
    def __init__(self, access: Access, look: Look) -> None:
        self._access = access
        self._look = look

    def routes(self) -> Sequence[Route]:
        guard = [Middleware(Guarded, check=self._access.check_entrance)]
        return (
            Route(SIGN_IN, self.page, methods=["GET"], middleware=guard),
            Route("/session", self.session, methods=["POST", "DELETE"], middleware=guard),
            Route(SIGN_OUT, self.out, methods=["POST"], middleware=guard),
            Route("/theme", self.theme, methods=["POST"], middleware=guard),
        )

    async def page(self, request: Request) -> Response:
        return self._page(request, _goal(request.query_params))

    async def session(self, request: Request) -> Response:
        """One route for both methods, so that a 405 names both."""
        return await (self.open(request) if request.method == "POST" else self.close(request))

    async def open(self, request: Request) -> Response:
        if forms.is_form(request):
            return self._by_form(request, await forms.read(request, BODY_MOST, _FIELDS_MOST))
        wanted = schemas.read(schemas.SessionBody, await body.read(request.scope, request.receive, BODY_MOST))
        token = self._access.token(request.scope, wanted.token.strip())
        session = sessions.opened(token, clock.now())
        answer = JSONResponse({"role": token.role, "expires_at": clock.rfc3339(session.expires)})
        return _with_cookie(answer, request, session.value, sessions.LIFETIME)

    async def close(self, request: Request) -> Response:
        return _with_cookie(Response(status_code=204), request, "", 0)

    async def out(self, request: Request) -> Response:
        """What `DELETE /session` does, for a page's form."""
        return _with_cookie(RedirectResponse(SIGN_IN, 303), request, "", 0)

    async def theme(self, request: Request) -> Response:
        """Light, dark, or as the reader's system has it; a viewer may choose, too."""
        given = await forms.read(request, BODY_MOST, _FIELDS_MOST)
        answer = RedirectResponse(_goal(given), 303)
        wanted = given.get("theme", "")
        if wanted in THEMES:
            cookies.give(answer, request, THEME, wanted, lives=_THEME_LIVES)
        else:
            answer.delete_cookie(THEME, httponly=True, samesite="strict")
        return answer

    def _by_form(self, request: Request, fields: Mapping[str, str]) -> Response:
        goal = _goal(fields)
        try:
            token: Token = self._access.token(request.scope, fields.get("token", "").strip())
        except Refusal as refusal:
            return self._page(request, goal, refusal)
        session = sessions.opened(token, clock.now())
        return _with_cookie(RedirectResponse(goal, 303), request, session.value, sessions.LIFETIME)

    def _page(self, request: Request, goal: str, refusal: Refusal | None = None) -> Response:
        if refusal is None:
            return self._look.page(request, "sign_in.html", goal=goal, why="")
        answer = refusal.answer
        kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
        # Who looks at a page can send no header.
        why = "That token is wrong." if answer.status_code == 401 else answer.detail  # noqa: PLR2004  # Unauthorized
        return self._look.page(request, "sign_in.html", answer.status_code, kept, goal=goal, why=why)


def _with_cookie(answer: Response, request: Request, value: str, lives: int) -> Response:
    cookies.give(answer, request, sessions.COOKIE, value, lives=lives)
    return answer


def _goal(given: Mapping[str, str]) -> str:
    """Where to go on: a page of ours, or the first one. What leads in and out is no page to go on to."""
    goal = given.get("next", "/")
    if not _LOCAL.fullmatch(goal):
        return "/"
    asked = urlsplit(goal)
    if asked.path.rstrip("/") not in _NO_GOALS:
        return goal
    # Where they would have led to: whoever loads the answer to a wrong token again has not forgotten it.
    beyond = dict(parse_qsl(asked.query)).get("next", "/")
    is_page = urlsplit(beyond).path.rstrip("/") not in _NO_GOALS if _LOCAL.fullmatch(beyond) else False
    return beyond if is_page else "/"
