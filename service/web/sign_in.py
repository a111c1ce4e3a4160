"""The way in for browsers: a page that asks for the token, and the session that the token opens."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from service import clock
from service.errors import InvalidInput
from service.web import body, origins, schemas, sessions
from service.web.access import SIGN_IN, Guarded
from service.web.problems import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from service.web.access import Access
    from service.web.tokens import Token

BODY_MOST = 8192
_FIELDS_MOST = 8
_FORM = "application/x-www-form-urlencoded"
# A browser takes `//host` and `/\host` for another site's address.
_LOCAL = re.compile(r"/(?![/\\])[!-~]{0,2000}")
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign in - Catchlight</title>
</head>
<body>
<main>
<h1>Sign in to Catchlight</h1>
{said}<form method="post" action="/session">
<input type="hidden" name="next" value="{goal}">
<p><label for="token">Token</label>
<input type="password" id="token" name="token" autocomplete="current-password" required autofocus></p>
<p><button type="submit">Sign in</button></p>
</form>
<p>Signed in already, and here by a link on another site? <a href="{goal}">Go on.</a></p>
</main>
</body>
</html>
"""


class SignIn:
    def __init__(self, access: Access) -> None:
        self._access = access

    def routes(self) -> Sequence[Route]:
        guard = [Middleware(Guarded, check=self._access.check_entrance)]
        return (
            Route(SIGN_IN, self.page, methods=["GET"], middleware=guard),
            Route("/session", self.session, methods=["POST", "DELETE"], middleware=guard),
        )

    async def page(self, request: Request) -> Response:
        return _page(_goal(request.query_params))

    async def session(self, request: Request) -> Response:
        """One route for both methods, so that a 405 names both."""
        return await (self.open(request) if request.method == "POST" else self.close(request))

    async def open(self, request: Request) -> Response:
        raw = await body.read(request.scope, request.receive, BODY_MOST)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
            return self._by_form(request, _fields(raw))
        wanted = schemas.read(schemas.SessionBody, raw)
        token = self._access.token(request.scope, wanted.token.strip())
        session = sessions.opened(token, clock.now())
        answer = JSONResponse({"role": token.role, "expires_at": clock.rfc3339(session.expires)})
        return _with_cookie(answer, request, session.value, sessions.LIFETIME)

    async def close(self, request: Request) -> Response:
        return _with_cookie(Response(status_code=204), request, "", 0)

    def _by_form(self, request: Request, fields: Mapping[str, str]) -> Response:
        goal = _goal(fields)
        try:
            token: Token = self._access.token(request.scope, fields.get("token", "").strip())
        except Refusal as refusal:
            return _page(goal, refusal)
        session = sessions.opened(token, clock.now())
        return _with_cookie(RedirectResponse(goal, 303), request, session.value, sessions.LIFETIME)


def _with_cookie(answer: Response, request: Request, value: str, lives: int) -> Response:
    answer.set_cookie(
        sessions.COOKIE,
        value,
        max_age=lives,
        secure=origins.over_https(request.scope, request.headers),
        httponly=True,
        samesite="strict",
    )
    return answer


def _page(goal: str, refusal: Refusal | None = None) -> HTMLResponse:
    if refusal is None:
        return HTMLResponse(_PAGE.format(said="", goal=escape(goal)))
    answer = refusal.answer
    said = f'<p role="alert">{escape(answer.detail)}</p>\n'
    kept = {
        name: answer.headers[name] for name in ("www-authenticate", "retry-after") if name in answer.headers
    }
    return HTMLResponse(_PAGE.format(said=said, goal=escape(goal)), answer.status_code, kept)


def _goal(given: Mapping[str, str]) -> str:
    """Where to go on: a path of ours, or the first page."""
    goal = given.get("next", "/")
    return goal if _LOCAL.fullmatch(goal) else "/"


def _fields(raw: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(raw.decode("utf-8", "replace"), max_num_fields=_FIELDS_MOST))
    except ValueError:
        raise InvalidInput("body", f"has more than {_FIELDS_MOST} fields") from None
