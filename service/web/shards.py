"""One receiver for several shards: in front of one application for each, it chooses which of them answers.

A callback goes to the shard that its source is at home on, and knows nothing of the others: a Redis that is
away is 503 for the sources of that shard alone. What asks for an id goes to the shard that has it. A page is
of the shard that its reader has chosen, and where each shard has data of its own, `?shard=` names one.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Mount, Route, Router

from service.errors import Conflict, LedgerDown, NotFound
from service.operator import DEFAULT_SOURCE
from service.web import body, cookies, tokens
from service.web.access import Access, Guarded, wants_page
from service.web.app import Assembled, assembled
from service.web.headers import Headed
from service.web.health import Health
from service.web.problems import Problem, Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from service.ledger import Ledger
    from service.settings import Settings

    Has = Callable[[Ledger, Request], Awaitable[object]]
    """Raises NotFound when the ledger does not have what the request asks for."""

COOKIE = "catchlight_shard"
_COOKIE_LIVES = 365 * 86_400
"""Seconds."""
_OF_ALL = ("/sign-in", "/sign-out", "/session", "/theme", "/static/{file}", "/openapi.json", "/asyncapi.json")
"""The same whoever answers."""
_OF_DATA = ("/api/", "/metrics")


class Shards:
    """An ASGI application. Raises ConfigError for an odd address of Redis, or no secret at all."""

    def __init__(self, settings: Settings, *, body_deadline: float = body.DEADLINE) -> None:
        settings.require_webhook_secrets()
        access = Access(tokens.configured(settings))
        names = [shard.name for shard in settings.shards]
        self._settings = settings
        self._of: dict[str, Assembled] = {
            shard.name: assembled(
                settings.of_shard(shard.name),
                shard.redis_url,
                access,
                beside=names,
                body_deadline=body_deadline,
            )
            for shard in settings.shards
        }
        self._first = self._of[names[0]]
        self._at_home: dict[str, ASGIApp] = {
            source.path: self._of[name].app for name in names for source in settings.of_shard(name).at_home
        }
        self._else = self._pages(access)
        self._lifespan = Router(lifespan=self._live)
        self.state = State({"live": self})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._lifespan(scope, receive, send)
            return
        chosen: ASGIApp | None = self._at_home.get(scope["path"])
        if chosen is None:
            # Of a source that nobody has, the first shard keeps that it was refused.
            chosen = self._first.app if scope["path"].startswith("/webhooks/") else self._else
        await chosen(scope, receive, send)

    def close(self) -> None:
        """End the event streams of all shards."""
        for one in self._of.values():
            one.dashboard.live.close()

    @asynccontextmanager
    async def _live(self, _: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for one in self._of.values():
                await stack.enter_async_context(one.lifespan(one.app))
            yield

    def _pages(self, access: Access) -> ASGIApp:
        inner = Router(
            [
                Route("/api/v1/scaling", self._scaling, methods=["GET"]),
                Route("/api/v1/predictions", _Endpoint(self._submitted)),
                Route("/api/v1/predictions/{id}/track", _Endpoint(self._of_its_source)),
                *self._searched(self._has_prediction, _PREDICTIONS),
                *self._searched(_has_delivery, _DELIVERIES),
                *self._searched(_has_run, _RUNS),
            ],
            redirect_slashes=False,
            default=self._of_the_named,
        )
        app = Starlette(
            routes=[
                *Health({name: one.ledger for name, one in self._of.items()}).routes(),
                *(Route(path, _Endpoint(self._of_the_first)) for path in _OF_ALL),
                *([Route("/metrics", _Endpoint(self._of_the_named))] if self._settings.metrics_open else ()),
                Mount("/", inner, middleware=[Middleware(Guarded, check=access.check)]),
            ],
            exception_handlers=self._first.dashboard.exception_handlers(),
        )
        # What a shard's application answers has these headers already, and keeps them.
        return Headed(app, https=(self._settings.public_url or "").startswith("https:"))

    def _searched(self, has: Has, paths: Iterable[str]) -> list[Route]:
        return [Route(path, _Endpoint(partial(self._of_who_has_it, has))) for path in paths]

    async def _of_the_first(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._first.app(scope, receive, send)

    async def _submitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A new one goes where its source is at home; a list is that of a shard that is named."""
        chosen = self._of_its_source if scope["method"] == "POST" else self._of_the_named
        await chosen(scope, receive, send)

    async def _of_its_source(self, scope: Scope, receive: Receive, send: Send) -> None:
        source = Request(scope).query_params.get("source") or DEFAULT_SOURCE
        # Of a source that is not declared the first application says so in its own words.
        known = source in self._settings.source_names
        name = self._settings.home_of(source) if known else None
        await (self._of[name] if name else self._first).app(scope, receive, send)

    async def _of_who_has_it(self, has: Has, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if request.query_params.get("shard"):
            await self._of_the_named(scope, receive, send)
            return
        asked = await asyncio.gather(*(_asked(one, has, request) for one in self._of.values()))
        having = [one for one in asked if isinstance(one, Assembled)]
        if len(having) > 1:
            raise Conflict("more than one shard has such an id; name one with ?shard= or ?source=")
        if not having:
            for away in (one for one in asked if isinstance(one, LedgerDown)):
                raise away
        # The first one's 404 is as good as any.
        await (having or [self._first])[0].app(scope, receive, send)

    async def _has_prediction(self, ledger: Ledger, request: Request) -> object:
        source = request.path_params.get("source") or request.query_params.get("source")
        return await ledger.reading.find(request.path_params["id"], source, self._settings.source_names)

    async def _of_the_named(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By `?shard=`; a page by its reader's last choice, too."""
        request = Request(scope)
        name = request.query_params.get("shard")
        if name is not None and name not in self._of:
            raise Refusal(Problem(404, "unknown_shard", f"there is no such shard: {', '.join(self._of)}"))
        if name is not None and wants_page(scope) and scope["method"] == "GET":
            await self._chosen(request, name)(scope, receive, send)
            return
        if name is None and scope["path"].startswith(_OF_DATA):
            detail = f"each shard has its own: add ?shard= and one of {', '.join(self._of)}"
            raise Refusal(Problem(400, "shard_needed", detail))
        name = name or request.cookies.get(COOKIE)
        await self._of.get(name or "", self._first).app(scope, receive, send)

    @staticmethod
    def _chosen(request: Request, name: str) -> Response:
        """The same page, whose address then no longer says whose: whoever goes on from it stays there."""
        others = [(key, value) for key, value in request.query_params.multi_items() if key != "shard"]
        # Relative: `//host/` as an absolute path would be another site's address.
        page = request.scope["raw_path"].rpartition(b"/")[2].decode("latin-1")
        answer = RedirectResponse(f"./{page}" + (f"?{urlencode(others)}" if others else ""), 303)
        cookies.give(answer, request, COOKIE, name, lives=_COOKIE_LIVES)
        return answer

    async def _scaling(self, request: Request) -> Response:
        """Of all shards together, for workers that serve them all; or of the one that is named."""
        name = request.query_params.get("shard")
        if name is not None and name not in self._of:
            raise NotFound(f"no shard {name[:64]}")
        wanted = [one for shard, one in self._of.items() if name in (None, shard)]
        return JSONResponse(summed(await asyncio.gather(*(one.ledger.reading.scaling() for one in wanted))))


class _Endpoint:
    """Lets a route call what takes a request as ASGI has it: it goes on whole to an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def summed(each: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Scaling objects as one: all counts together, the oldest of the oldest, the nearest of the nearest."""
    found = list(each)
    total: dict[str, Any] = {name: sum(one[name] for one in found) for name in _COUNTS}
    nearest = [one["nearest_deletion_seconds"] for one in found]
    return total | {
        "oldest_due_seconds": max(one["oldest_due_seconds"] for one in found),
        "nearest_deletion_seconds": min((one for one in nearest if one is not None), default=None),
    }


_COUNTS = ("backlog", "waiting", "working", "due", "awaited", "deliveries_due")
_PREDICTIONS = (
    "/api/v1/predictions/{id}",
    "/api/v1/predictions/{id}/{rest:path}",
    "/predictions/{id}",
    "/predictions/{id}/{rest:path}",
    "/api/v1/review/{id}/{rest:path}",
    "/review/{source}/{id}/{rest:path}",
    "/media/{source}/{id}/{rest:path}",
)
_DELIVERIES = (
    "/api/v1/deliveries/{id}",
    "/api/v1/deliveries/{id}/{rest:path}",
    "/deliveries/{id}",
    "/deliveries/{id}/{rest:path}",
)
_RUNS = ("/api/v1/runs/{id}", "/api/v1/runs/{id}/{rest:path}", "/runs/{id}", "/runs/{id}/{rest:path}")


async def _asked(one: Assembled, has: Has, request: Request) -> Assembled | LedgerDown | None:
    try:
        await has(one.ledger, request)
    except NotFound:
        return None
    except LedgerDown as error:
        return error
    return one


async def _has_delivery(ledger: Ledger, request: Request) -> object:
    if not await ledger.reading.deliveries_by_id([request.path_params["id"]]):
        raise NotFound("no such delivery")
    return None


async def _has_run(ledger: Ledger, request: Request) -> object:
    return await ledger.runs.get(request.path_params["id"])
