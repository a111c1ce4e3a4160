"""Errors on pages: what the API answers as problem+json, a person gets as a page of the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.ledger.connection import NO_ANSWER
from service.web import problems
from service.web.access import wants_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from service.web.dashboard.live import Live
    from service.web.dashboard.look import Look
    from service.web.problems import Problem

_KEPT = ("www-authenticate", "retry-after", "allow")


class Troubled:
    """Starlette's exception handlers of this application."""

    def __init__(self, look: Look, live: Live) -> None:
        self._look = look
        self._live = live

    async def on_error(self, request: Request, error: Exception) -> Response:
        # To refuse a write is another trouble than silence, and the problem's own words are the same.
        answers = not str(error).startswith(NO_ANSWER)
        return self._shown(request, await problems.on_error(request, error), answers=answers)

    async def on_refusal(self, request: Request, error: Exception) -> Response:
        return self._shown(request, await problems.on_refusal(request, error))

    async def on_http_error(self, request: Request, error: Exception) -> Response:
        return self._shown(request, await problems.on_http_error(request, error))

    async def on_bug(self, request: Request, error: Exception) -> Response:
        return self._shown(request, await problems.on_bug(request, error))

    def _shown(self, request: Request, problem: Problem, *, answers: bool = True) -> Response:
        # One that closes its connection has a way of its own to do so.
        if not wants_page(request.scope) or isinstance(problem, problems.Closing):
            return problem
        headers = {name: problem.headers[name] for name in _KEPT if name in problem.headers}
        return self._look.page(
            request,
            "trouble.html",
            problem.status_code,
            headers,
            problem=problem,
            answered_at=self._live.answered_at,
            answers=answers,
            asked_only=request.method in ("GET", "HEAD"),
        )
