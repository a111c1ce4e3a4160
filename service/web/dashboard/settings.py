"""The effective settings: each with what it is for, where it came from, and secrets masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.web.dashboard.desk import Desk

_DEFAULT = "default"


def routes(desk: Desk) -> Sequence[Route]:
    return (Route("/settings", _Page(desk).shown, methods=["GET"]),)


class _Page:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def shown(self, request: Request) -> Response:
        """`only=set`: without those that stand at their default; `find`: with this text in their row."""
        only = request.query_params.get("only") == "set"
        find = " ".join(request.query_params.get("find", "").split())[:100]
        everything = self._desk.settings.describe()
        rows = [row for row in everything if not only or row.origin != _DEFAULT]
        if find:
            rows = [row for row in rows if find.lower() in " ".join(filter(None, row)).lower()]
        return self._desk.look.page(
            request,
            "settings.html",
            rows=[(row, _marked(row.meaning), _marked(row.default)) for row in rows],
            of=len(everything),
            were_set=sum(row.origin != _DEFAULT for row in everything),
            only=only,
            find=find,
            warnings=self._desk.settings.warnings(),
        )


def _marked(text: str) -> list[tuple[str, bool]]:
    """Pieces of a text, and whether each is code: what stands between two grave accents."""
    return [(piece, n % 2 == 1) for n, piece in enumerate(text.split("`")) if piece]
