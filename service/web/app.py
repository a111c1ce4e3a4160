"""The application: one Starlette app from settings, with everything it opens closed again."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route, Router

from service import wavespeed
from service.ending import end
from service.errors import LedgerDown
from service.intake import Intake
from service.ledger import Ledger, durability
from service.ledger.roles import BEAT_EVERY
from service.metrics.gathering import Gathering
from service.operator import Operator
from service.web import body, tokens
from service.web.access import Access, Guarded
from service.web.api import Api
from service.web.dashboard import Dashboard
from service.web.headers import Headed
from service.web.health import Health
from service.web.metrics import Metrics
from service.web.receiver import Receiver, Told
from service.web.runs import Runs
from service.web.secret_watch import SecretWatch
from service.web.sign_in import SignIn
from service.web.turned_away import TurnedAway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager

    from starlette.routing import BaseRoute

    from service.settings import Settings
    from service.sources import Source

log = structlog.get_logger("serve")


@dataclass(frozen=True, slots=True)
class Assembled:
    """The application over one Redis, and what whoever stands before several of them needs of each."""

    app: Starlette
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]]
    ledger: Ledger
    dashboard: Dashboard


def build(settings: Settings, redis_url: str, *, body_deadline: float = body.DEADLINE) -> Starlette:
    """Raises ConfigError for an odd address of Redis, or no secret: who cannot verify must not receive."""
    settings.require_webhook_secrets()
    access = Access(tokens.configured(settings))
    return assembled(settings, redis_url, access, body_deadline=body_deadline).app


def assembled(
    settings: Settings,
    redis_url: str,
    access: Access,
    *,
    beside: Sequence[str] = (),
    body_deadline: float = body.DEADLINE,
) -> Assembled:
    """`beside`: the names of all shards, where this is one of those that a process serves.

    Raises ConfigError for an odd address of Redis.
    """
    ledger = Ledger(redis_url, settings.retention, urgent_within=settings.urgent_within)
    intake = Intake(ledger)
    sources = settings.at_home
    http = wavespeed.open_http()
    clients = wavespeed.clients(settings.accounts, http)
    turned_away = TurnedAway(ledger.refusals)
    watch = SecretWatch(ledger, sources, clients, settings.drift_after)
    gathering = Gathering(ledger.measuring)
    told = Told(turned_away, watch, gathering)
    receiver = Receiver(intake, sources, settings.max_body, told, body_deadline=body_deadline)
    operator = Operator(settings, ledger, intake, clients)
    dashboard = Dashboard(settings, ledger, operator, can_sign_out=access.asks, beside=beside)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with _beside(
            ledger.roles.keep_beating("serve", f"{socket.gethostname()}-{os.getpid()}"),
            _warn_of_forgetting(ledger),
            turned_away.keep_writing(),
            gathering.keep_writing(),
            watch.keep_comparing(),
        ):
            yield
            await dashboard.aclose()
        # The answers of the last batch are out only when it is written.
        for last in (intake.drained, turned_away.put_away, gathering.put_away, http.aclose, ledger.aclose):
            await last()

    callbacks = _callbacks(receiver, sources)
    app = Starlette(
        routes=[*callbacks, *_for_people(settings, access, ledger, operator, dashboard)],
        exception_handlers=dashboard.exception_handlers(),
    )
    # Callbacks go past all that is made for people: their endpoint answers whatever happens to it. Without
    # redirects: `/x/` is not `/x`, and a sender's POST would not follow one.
    pages = app.build_middleware_stack()
    door = Router(callbacks, redirect_slashes=False, default=pages, lifespan=lifespan)
    # Starlette's own middleware would stand inside its answer to a bug, and that answer has headers too.
    app.middleware_stack = Headed(door, https=(settings.public_url or "").startswith("https:"))
    app.state.live = dashboard.live
    return Assembled(app, lifespan, ledger, dashboard)


def _for_people(
    settings: Settings, access: Access, ledger: Ledger, operator: Operator, dashboard: Dashboard
) -> list[BaseRoute]:
    """Probes, the way in, and behind it the API and the pages."""
    api, runs = Api(ledger, operator, settings.max_body), Runs(ledger, settings.max_body)
    metrics = Metrics(ledger, [hook.name for hook in settings.hooks]).routes()
    guarded = [*api.routes(), *runs.routes(), *metrics, *dashboard.routes()]
    inner = Router(guarded, redirect_slashes=False)
    return [
        *Health({"": ledger}).routes(),
        *SignIn(access, dashboard.look).routes(),
        dashboard.look.assets.route(),
        *(metrics if settings.metrics_open else ()),
        Mount("/", inner, middleware=[Middleware(Guarded, check=access.check)]),
    ]


@asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs until the server stops, whatever its end is."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        await end(*tasks)


def _callbacks(receiver: Receiver, sources: Sequence[Source]) -> list[Route]:
    """All of one prefix, known or not: the receiver says what is wrong with them; and paths of their own."""
    own = [source.path for source in sources if not source.path.startswith("/webhooks/")]
    return [Route(path, receiver) for path in ("/webhooks/{source:path}", *own)]


async def _warn_of_forgetting(ledger: Ledger) -> None:
    """Redis that may forget what it has acknowledged: allowed, and never silent."""
    while True:
        try:
            findings = await durability.check(ledger.redis)
        except LedgerDown:
            # The beat beside us says so.
            await asyncio.sleep(BEAT_EVERY)
        else:
            break
    for finding in findings:
        if finding.state is not durability.State.OK:
            log.warning("redis.not_durable", detail=finding.detail, fix=finding.fix)
