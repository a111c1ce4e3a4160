"""The provider's CDN: real files without authentication, and its ways of not delivering them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from service.simulator.media import media_type
from service.simulator.plot import Cdn

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from service.simulator.simulator import Simulator

_DRIPS = 8
_INDEX = re.compile(r"[0-9]{1,3}", re.ASCII)


def cdn_routes(sim: Simulator) -> list[Route]:
    async def fetch(request: Request) -> Response:
        prediction = sim.find(request.path_params["id"])
        number, dot, extension = request.path_params["file"].partition(".")
        files = prediction.ending.files if prediction else ()
        index = int(number) if _INDEX.fullmatch(number) else len(files)
        if prediction is None or index >= len(files) or (dot and extension != files[index]):
            return PlainTextResponse("not found", 404)
        what, body = sim.fetched(prediction, index)
        # A URL without an extension comes from an origin that does not know the type either.
        kind = media_type(files[index]) if dot else "application/octet-stream"
        return _answer(what, body, kind, sim.config.stall)

    return [Route("/cdn/{id}/{file}", fetch, methods=["GET"])]


def _answer(what: Cdn, body: bytes, kind: str, stall: float) -> Response:
    match what:
        case Cdn.MISSING:
            return PlainTextResponse("not found", 404)
        case Cdn.GONE:
            return PlainTextResponse("gone", 410)
        case Cdn.BUSY:
            return PlainTextResponse("slow down", 503)
        case Cdn.CUT:
            return _Cut(body, media_type=kind)
        case Cdn.DRIP:
            return _Drip(body, stall, kind)
        case Cdn.WHOLE:
            return Response(body, media_type=kind)


class _Cut(Response):
    """Promises the whole file, sends half, and returns unfinished: the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})


class _Drip(Response):
    """The first half, a silence, and the rest in small pieces."""

    def __init__(self, body: bytes, stall: float, kind: str) -> None:
        super().__init__(body, media_type=kind)
        self.stall = stall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        body = bytes(self.body)
        half = len(body) // 2
        await send({"type": "http.response.body", "body": body[:half], "more_body": True})
        await asyncio.sleep(self.stall)
        piece = (len(body) - half) // _DRIPS + 1
        for at in range(half, len(body), piece):
            await send({"type": "http.response.body", "body": body[at : at + piece], "more_body": True})
            await asyncio.sleep(self.stall / 50)
        await send({"type": "http.response.body", "body": b""})
