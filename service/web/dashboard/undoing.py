"""Which outputs an address names, and the last decision about some, which may be undone for some minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from service.errors import InvalidInput
from service.prediction import Ref
from service.web import cookies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    Place = tuple[Ref, int]

LAST = "catchlight_review_last"
TOGETHER_MOST = 40
_OFFERED = 600
"""Seconds for which a browser remembers its last decision."""
_COOKIE_MOST = 3800
"""Bytes; browsers drop a cookie of more than 4096 without a word. The address has the decision, too."""
_INDEX_DIGITS = 6


def place(text: str) -> Place:
    """Of `source/id/index`. Raises InvalidInput."""
    source, _, rest = text.partition("/")
    id_, _, index = rest.partition("/")
    is_index = index.isascii() and index.isdigit() and len(index) <= _INDEX_DIGITS
    if not (source and id_ and is_index) or ":" in source:
        raise InvalidInput("output", "is given as source/id/index")
    return Ref(source, id_), int(index)


def path(one: Place) -> str:
    ref, index = one
    return f"{ref.source}/{ref.id}/{index}"


def offered(request: Request) -> dict[str, Any] | None:
    """The last decision, from the address or the browser: where its form goes, and what else goes with it."""
    kept = unquote(request.cookies.get(LAST, "")).split()
    places = (request.query_params.getlist("was") or kept)[: TOGETHER_MOST + 1]
    try:
        paths = [path(place(one)) for one in places]
    except InvalidInput:
        return None
    return {"action": f"/review/{paths[0]}/undo", "also": paths[1:]} if paths else None


def keep(request: Request, answer: Response, decided: Sequence[Place]) -> None:
    """Whoever leaves the review and comes back may still take it back; none to take back forgets it."""
    value = quote(" ".join(path(one) for one in decided))
    kept = value if len(value) <= _COOKIE_MOST else ""
    cookies.give(answer, request, LAST, kept, lives=_OFFERED if decided else 0)
