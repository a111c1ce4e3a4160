"""Answers held against our own OpenAPI document, and against the headers that every answer has."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any

import httpx
from starlette.routing import Mount, Route

from service import clock
from service.web.openapi import document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.routing import BaseRoute

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_ANOTHER_METHOD = {"responses": dict.fromkeys(("401", "403", "404", "405", "429"), _PROBLEM)}
"""What may be answered to a method that the document does not have."""
_OWN_FORMS = ("/theme", "/sign-out")
"""Beside the way in, which programs take too."""
_EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_FOR_EVER = "public, max-age=31536000, immutable"
"""Of styles and scripts, whose names say what is in them."""
_OF_DATA = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
_OF_PAGES = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
}


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A context without certificates: to load them takes longer than all that a visitor does."""


class DescribedClient(httpx.AsyncClient):
    """Checks every answer that it gets."""

    async def request(self, *arguments: Any, **more: Any) -> httpx.Response:
        answer = await super().request(*arguments, **more)
        assert list(faults(answer)) == []
        return answer


def operations(found: Iterable[BaseRoute], *, pages: bool = True) -> Iterator[tuple[str, str]]:
    """Path and method, in lower case, of every route that there is; or of those only that are no page's."""
    for route in found:
        if isinstance(route, Mount):
            yield from operations(route.routes, pages=pages)
        elif not pages and isinstance(route, Route) and is_of_a_page(route):
            continue
        elif isinstance(route, Route):
            # The receiver takes every method, so that it can answer 404 before 405; it serves one.
            for method in (route.methods or {"POST"}) - {"HEAD"}:
                yield route.path_format, method.lower()


def is_of_a_page(route: Route) -> bool:
    """For people: it answers with pages, and the API's document says nothing of it."""
    return route.endpoint.__module__.startswith("service.web.dashboard") or route.path in _OWN_FORMS


def bare(headers: httpx.Headers) -> Iterator[str]:
    """What an answer lacks of the headers that every answer has."""
    page = headers.get("content-type", "").startswith("text/html")
    kept = {"cache-control": _FOR_EVER} if _FOR_EVER in headers.get("cache-control", "") else {}
    for name, value in (_EVERYWHERE | (_OF_PAGES if page else _OF_DATA) | kept).items():
        if headers.get_list(name) != [value]:
            yield f"{name} is {headers.get_list(name)}"


def faults(answer: httpx.Response) -> Iterator[str]:
    """In what an answer differs from what the document says of its route, method and status."""
    yield from bare(answer.headers)
    paths: dict[str, Any] = document()["paths"]
    routes = [path for path in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), answer.url.path)]
    method = answer.request.method.lower()
    for path in sorted(routes, key=lambda path: "{" in path)[:1]:
        operation = paths[path].get("get" if method == "head" else method, _ANOTHER_METHOD)
        described = operation["responses"].get(str(answer.status_code))
        if described is None:
            yield f"{method} {path} may not answer {answer.status_code}: {answer.text}"
        if described is None or method == "head":
            return
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        contents = described.get("content", {"": {"schema": {"const": ""}}})
        if media_type not in contents:
            yield f"{media_type} is none of {list(contents)}"
            return
        value = answer.json() if media_type.endswith("json") else answer.text
        yield from _misfits(value, contents[media_type]["schema"], "answer")


def _misfits(value: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    types = schema.get("type", list(_TYPES))
    allowed = [t for name in ([types] if isinstance(types, str) else types) for t in _TYPES[name]]
    if not isinstance(value, tuple(allowed)):
        yield f"{place}: {value!r} is not {types}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{place}: {value!r} is none of the words"
    if schema.get("format") == "date-time" and value is not None and not _is_instant(value):
        yield f"{place}: {value!r} is no instant with milliseconds and Z"
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _misfits(item, schema.get("items", {}), f"{place}[{index}]")
    if isinstance(value, dict):
        yield from (f"{place}: no {name}" for name in schema.get("required", []) if name not in value)
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from _misfits(value[name], inner, f"{place}.{name}")


def _is_instant(text: object) -> bool:
    seconds = clock.parse_rfc3339(text)
    return seconds is not None and clock.rfc3339(seconds) == text
