"""What a request of the API asks for in its path and its query, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import InvalidInput, NotFound
from service.given import check_id

if TYPE_CHECKING:
    from starlette.requests import Request

LIMIT = 50
LIMIT_MOST = 200


def known_id(request: Request) -> str:
    """Raises NotFound for what can be nobody's id: nothing with such a name exists."""
    try:
        return check_id(request.path_params["id"])
    except InvalidInput:
        raise NotFound("there is nothing with such an id") from None


def limit(request: Request) -> int:
    text = request.query_params.get("limit", str(LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= LIMIT_MOST):
        raise InvalidInput("limit", f"is a number from 1 to {LIMIT_MOST}")
    return int(text)
