"""`/api/v1/runs`: bulk runs are planned here, shown here, and carried out by the sweeper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

from service import clock, runs
from service.errors import InvalidInput
from service.ledger.runs import RATE, Kind, Order
from service.web import body, schemas
from service.web.asked import known_id, limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.ledger import Ledger
    from service.ledger.runs import Run


class Runs:
    def __init__(self, ledger: Ledger, max_body: int) -> None:
        self._ledger = ledger
        self._max_body = max_body

    def routes(self) -> Sequence[Route]:
        return (
            Route("/api/v1/runs", self.runs, methods=["GET", "POST"]),
            Route("/api/v1/runs/{id}", self.run, methods=["GET"]),
            Route("/api/v1/runs/{id}/resume", self.resume, methods=["POST"]),
        )

    async def runs(self, request: Request) -> Response:
        """One route for both methods, so that a 405 names both."""
        return await (self.plan(request) if request.method == "POST" else self.listed(request))

    async def listed(self, request: Request) -> Response:
        found = await self._ledger.runs.latest(limit(request))
        return JSONResponse({"items": [run.public(clock.now()) for run in found], "next": None})

    async def plan(self, request: Request) -> Response:
        raw = await body.read(request.scope, request.receive, self._max_body)
        wanted = schemas.read(schemas.RunBody, raw)
        if bool(wanted.query) == bool(wanted.again):
            raise InvalidInput("body", "takes a query, or in `again` the id of a run, and not both")
        if wanted.again:
            run = await runs.again(self._ledger, wanted.again, wanted.rate)
        else:
            rate = RATE if wanted.rate is None else wanted.rate
            kind = Kind(wanted.kind)
            step = "deliver" if kind is Kind.RETRY else wanted.step
            order = Order(kind, wanted.query, step, rate, wanted.new_id)
            run = await runs.plan(self._ledger, order)
        if not wanted.dry_run:
            await self._start(run)
        location = {"Location": f"/api/v1/runs/{run.id}"}
        return JSONResponse(await self._shown(run.id), status_code=201, headers=location)

    async def run(self, request: Request) -> Response:
        return JSONResponse(await self._shown(known_id(request)))

    async def resume(self, request: Request) -> Response:
        """Also of one that was only planned: it acts on exactly what that lists."""
        run = await self._ledger.runs.get(known_id(request))
        await self._start(run)
        return JSONResponse(await self._shown(run.id), status_code=202)

    async def _start(self, run: Run) -> None:
        if run.position < run.total:
            await self._ledger.runs.ask(run.id, clock.now())

    async def _shown(self, run_id: str) -> dict[str, object]:
        return await runs.shown(self._ledger, await self._ledger.runs.get(run_id))
