"""Cookies of ours: for this site alone, for no script, and over https only where we are reached by that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.web import origins

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def give(answer: Response, request: Request, name: str, value: str, *, lives: int) -> None:
    """With an answer to that request. `lives`: seconds; 0 takes it away."""
    answer.set_cookie(
        name,
        value,
        max_age=lives,
        secure=origins.over_https(request.scope, request.headers),
        httponly=True,
        samesite="strict",
    )
