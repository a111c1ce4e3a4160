"""Hooks that misbehave in every way until they are told to be well; then they take what they are sent."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from service.simulator.run import serving
from service.simulator.sink import Sink
from tests.faults.backstage import Backstage
from tests.faults.family import HOOK_SECRET, declared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from types import TracebackType

    from starlette.requests import Request

WAYS = ("broken", "silent", "busy", "moved", "endless")
"""`endless` answers 200 without an end: that is taken, and must not be read for ever."""
CHUNK = b"x" * 65_536


class BadHooks:
    """A context manager; `toml` declares them, `sinks` hold what each took."""

    def __init__(self, folder: Path) -> None:
        self.well = False
        self.bad_answers = 0
        self.endless_bytes = 0
        self.sinks: dict[str, Sink] = {}
        self.toml = ""
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        backstage = self._stack.enter_context(Backstage())
        for name in WAYS:
            path = self._folder / f"{name}.jsonl"
            self.sinks[name] = self._stack.enter_context(Sink([HOOK_SECRET], path))
        app = Starlette(routes=[Route("/{name}", self._hook, methods=["POST"])])
        url = backstage.enter(serving(app))
        self.toml = "".join(declared(name, f"{url}/{name}") for name in WAYS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    async def _hook(self, request: Request) -> Response:
        name, body = request.path_params["name"], await request.body()
        if self.well or name == "endless":
            status = self.sinks[name].take(body, request.headers)
            endless = name == "endless" and not self.well
            return StreamingResponse(self._endless()) if endless else JSONResponse({}, status)
        self.bad_answers += 1
        match name:
            case "silent":
                await asyncio.sleep(3600)
            case "busy":
                return Response(status_code=429, headers={"retry-after": "1"})
            case "moved":
                return RedirectResponse(request.url.replace(path="/broken"), 302)
        return Response(status_code=500)

    async def _endless(self) -> AsyncIterator[bytes]:
        while True:
            self.endless_bytes += len(CHUNK)
            yield CHUNK
            await asyncio.sleep(0)
