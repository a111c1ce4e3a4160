"""Who works: the processes that beat, what each has in flight, and what could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from service import clock
from service.ledger import server
from service.troubles import ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.web.dashboard.desk import Desk

ASIDE_SHOWN = 50


def routes(desk: Desk) -> Sequence[Route]:
    return (Route("/workers", _Page(desk).shown, methods=["GET"]),)


class _Page:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def shown(self, request: Request) -> Response:
        ledger = self._desk.ledger
        alive = await ledger.roles.alive()
        present = {one.role for one in alive}
        jobs = await server.jobs(ledger.redis, ASIDE_SHOWN)
        return self._desk.look.page(
            request,
            "workers.html",
            alive=alive,
            missing=[(role, name) for role, name in ROLES.items() if role not in present],
            names=ROLES,
            scaling=await ledger.reading.scaling(),
            jobs=jobs,
            aside=[{**one, "at": clock.rfc3339(float(one["at"]))} for one in jobs.aside],
            most=ASIDE_SHOWN,
            concurrency=self._desk.settings.concurrency,
        )
