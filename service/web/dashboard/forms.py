"""What a page's form sends."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from service.errors import InvalidInput
from service.web import body
from service.web.problems import Problem, Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

TYPE = "application/x-www-form-urlencoded"
MOST = 65_536
"""Bytes."""
FIELDS_MOST = 256


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == TYPE


async def fields(request: Request, most: int = MOST, count: int = FIELDS_MOST) -> list[tuple[str, str]]:
    """Names and values in their order; a name may come more than once.

    Raises Refusal (408, 413, 415), and InvalidInput for too many fields.
    """
    if not is_form(request):
        raise Refusal(Problem(415, "content_type", f"this takes a form: {TYPE}"))
    raw = await body.read(request.scope, request.receive, most)
    try:
        return parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=count)
    except ValueError:
        raise InvalidInput("body", f"has more than {count} fields") from None


async def read(request: Request, most: int = MOST, count: int = FIELDS_MOST) -> dict[str, str]:
    """The last value of each name. Raises Refusal and InvalidInput, as `fields`."""
    return dict(await fields(request, most, count))
