"""A provider whose every answer a test writes, and which remembers when it was asked for what."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service import clock, wavespeed
from service.simulator.run import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request


@dataclass
class Provider:
    """`predictions` newest first; `answers` by path stand before them."""

    predictions: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, Response] = field(default_factory=dict)
    every: Response | None = None
    """The answer to whatever is asked, when set."""
    asked: list[tuple[float, str]] = field(default_factory=list)
    """Monotonic time and path, the page's number behind that of a list."""

    def add(self, id_: str, status: str = "completed", created: float | None = None, **more: Any) -> None:
        at = clock.rfc3339(clock.now() if created is None else created)
        done = status == "completed"
        said = {"id": id_, "model": "acme/painter", "status": status, "created_at": at}
        outputs = {"outputs": ["a text"], "has_nsfw_contents": [False]} if done else {"outputs": []}
        self.predictions[id_] = said | outputs | more

    def paths(self) -> list[str]:
        return [path for _, path in self.asked]

    def times(self) -> list[float]:
        return [at for at, _ in self.asked]

    async def result(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        if refusal := self._heard(id_):
            return refusal
        found = self.predictions.get(id_)
        return _enveloped(found) if found else JSONResponse({"code": 404, "message": "unknown"}, 404)

    async def list(self, request: Request) -> Response:
        query = await request.json()
        page, size = query["page"], query["page_size"]
        what = "list of the oldest" if "created_before" in query else "list"
        if refusal := self._heard(f"{what} {page}"):
            return refusal
        after, before = query.get("created_after", ""), query.get("created_before", "9999")
        items = [_listed(said) for said in self.predictions.values() if after <= said["created_at"] <= before]
        return _enveloped({"page": page, "items": items[(page - 1) * size : page * size]})

    def _heard(self, what: str) -> Response | None:
        self.asked.append((time.monotonic(), what))
        return self.answers.get(what) or self.every


def _listed(said: Mapping[str, Any]) -> dict[str, Any]:
    """A list tells no flags."""
    return {name: value for name, value in said.items() if name != "has_nsfw_contents"}


def _enveloped(data: object) -> JSONResponse:
    return JSONResponse({"code": 200, "message": "success", "data": data})


@asynccontextmanager
async def providing() -> AsyncIterator[tuple[Provider, wavespeed.Client]]:
    """A provider on a real socket and the product's own client for it."""
    provider = Provider()
    routes = [
        Route("/predictions/{id}/result", provider.result),
        Route("/predictions", provider.list, methods=["POST"]),
    ]
    async with serving(Starlette(routes=routes)) as url, wavespeed.open_http() as http:
        yield provider, wavespeed.Client(url, "a-key", http)
