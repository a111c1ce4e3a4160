"""What a browser keeps for whoever reviews: their name, and whether pictures are grey and films silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from service.errors import InvalidInput
from service.reviewing import Reviewer
from service.web import cookies

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

NAME, LOOKS = "catchlight_reviewer", "catchlight_review_looks"
_A_YEAR = 365 * 86_400


class Looks(NamedTuple):
    grey: bool
    silent: bool

    @classmethod
    def of(cls, request: Request) -> Looks:
        """Silent until somebody says otherwise: nobody shall be surprised in an office."""
        kept = request.cookies.get(LOOKS, "s")
        return cls("g" in kept, "s" in kept)

    def keep(self, request: Request, answer: Response) -> None:
        _keep(request, answer, LOOKS, "g" * self.grey + "s" * self.silent + "-")


def name_of(request: Request) -> str:
    """Empty while nobody has said one, or what was kept can be no name."""
    given = unquote(request.cookies.get(NAME, ""))
    try:
        return Reviewer(given).by
    except InvalidInput:
        return ""


def keep_name(request: Request, answer: Response, name: str) -> None:
    _keep(request, answer, NAME, quote(name))


def _keep(request: Request, answer: Response, cookie: str, value: str) -> None:
    cookies.give(answer, request, cookie, value, lives=_A_YEAR)
