"""Styles and scripts: read once, named by what is in them, so that a browser may keep them for ever."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"
_DIGITS = 10


class Assets:
    def __init__(self) -> None:
        folder = resources.files("service.web.dashboard") / "static"
        files = {
            file.name: file.read_bytes()
            for file in folder.iterdir()
            if file.name.rpartition(".")[2] in _TYPES
        }
        self._urls: Mapping[str, str] = {name: _address(name, data) for name, data in files.items()}
        self._files = {self._urls[name]: (data, _TYPES[_kind(name)]) for name, data in files.items()}

    def url(self, name: str) -> str:
        """Raises KeyError for a file that there is not: a browser would find out too late."""
        return self._urls[name]

    def route(self) -> Route:
        return Route("/static/{file}", self.file, methods=["GET"])

    async def file(self, request: Request) -> Response:
        found = self._files.get(request.url.path)
        if found is None:
            raise HTTPException(404)
        data, media_type = found
        return Response(data, media_type=media_type, headers={"Cache-Control": _FOR_EVER})


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _address(name: str, data: bytes) -> str:
    stem, _, kind = name.rpartition(".")
    return f"/static/{stem}.{hashlib.sha256(data).hexdigest()[:_DIGITS]}.{kind}"
