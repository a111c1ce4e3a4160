"""`/api/v1`: predictions, deliveries, reviews, refusals, scaling. Handlers translate; they decide nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from service import clock, reviewing
from service.errors import InvalidInput, NotFound
from service.events import Kind
from service.ledger import query
from service.operator import DEFAULT_SOURCE, Submission
from service.review import Decision
from service.reviewing import Reviewer
from service.web import body, schemas, told
from service.web.asked import known_id, limit
from service.web.openapi import document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.ledger import Ledger
    from service.operator import Operator
    from service.prediction import Ref

_INDEX_DIGITS = 6


class Api:
    def __init__(self, ledger: Ledger, operator: Operator, max_body: int) -> None:
        self._ledger = ledger
        self._operator = operator
        self._max_body = max_body

    def routes(self) -> Sequence[Route]:
        return (
            Route("/api/v1/predictions", self.predictions, methods=["GET", "POST"]),
            Route("/api/v1/predictions/{id}", self.prediction, methods=["GET"]),
            Route("/api/v1/predictions/{id}/track", self.track, methods=["POST"]),
            Route("/api/v1/predictions/{id}/replay", self.replay, methods=["POST"]),
            Route("/api/v1/deliveries", self.deliveries, methods=["GET"]),
            Route("/api/v1/deliveries/{id}", self.delivery, methods=["GET"]),
            Route("/api/v1/deliveries/{id}/retry", self.retry, methods=["POST"]),
            Route("/api/v1/refused", self.refused, methods=["GET"]),
            Route("/api/v1/review", self.review, methods=["GET"]),
            *(
                Route(
                    f"/api/v1/review/{{id}}/{{index}}/{decision}",
                    partial(self.decide, decision),
                    methods=["POST"],
                )
                for decision in Decision
            ),
            Route("/api/v1/scaling", self.scaling, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
            Route("/asyncapi.json", self.asyncapi, methods=["GET"]),
            Route("/api/v1/schemas/{kind}", self.schema, methods=["GET"]),
        )

    async def predictions(self, request: Request) -> Response:
        """One route for both methods, so that a 405 names both."""
        return await (self.submit(request) if request.method == "POST" else self.listed(request))

    async def listed(self, request: Request) -> Response:
        items, cursor = await self._ledger.reading.page(
            _query(request), limit(request), _cursor(request), self._operator.sources
        )
        return JSONResponse({"items": items, "next": cursor})

    async def submit(self, request: Request) -> Response:
        wanted = schemas.read(schemas.SubmitBody, await self._body(request))
        source = _source(request) or DEFAULT_SOURCE
        submission = Submission(wanted.model, wanted.input, wanted.metadata, source)
        ref = await self._operator.submit(submission, request.headers.get("idempotency-key"))
        which = "" if ref.source == DEFAULT_SOURCE else f"?source={ref.source}"
        location = {"Location": f"/api/v1/predictions/{ref.id}{which}"}
        return JSONResponse(await self._public(ref), status_code=201, headers=location)

    async def prediction(self, request: Request) -> Response:
        return JSONResponse(await self._public(await self._found(request)))

    async def track(self, request: Request) -> Response:
        told = schemas.read(schemas.TrackBody, await self._body(request))
        ref = await self._operator.track(
            request.path_params["id"], told.model, told.metadata, _source(request)
        )
        return JSONResponse(await self._public(ref), status_code=202)

    async def replay(self, request: Request) -> Response:
        wanted = schemas.read(schemas.ReplayBody, await self._body(request))
        ref = await self._operator.replay(
            known_id(request), _source(request), wanted.step, new_id=wanted.new_id
        )
        return JSONResponse(await self._public(ref), status_code=202)

    async def deliveries(self, request: Request) -> Response:
        items, cursor = await self._ledger.reading.deliveries(
            limit(request), _cursor(request), _of_deliveries(request)
        )
        return JSONResponse({"items": items, "next": cursor})

    async def delivery(self, request: Request) -> Response:
        delivery_id = known_id(request)
        delivery = await self._ledger.reading.delivery(delivery_id)
        if delivery is None:
            raise NotFound(f"no delivery {delivery_id}")
        return JSONResponse(delivery.whole())

    async def retry(self, request: Request) -> Response:
        delivery_id = known_id(request)
        if not await self._ledger.deliveries.send_again([delivery_id]):
            raise NotFound(f"no delivery {delivery_id}")
        delivery = await self._ledger.reading.delivery(delivery_id)
        return JSONResponse(delivery.public() if delivery else {}, status_code=202)

    async def refused(self, request: Request) -> Response:
        return JSONResponse(await self._ledger.refusals.listed(limit(request), _cursor(request)))

    async def review(self, request: Request) -> Response:
        items, cursor = await self._ledger.reading.held(_query(request), limit(request), _cursor(request))
        return JSONResponse({"items": items, "next": cursor})

    async def decide(self, decision: Decision, request: Request) -> Response:
        told = schemas.read(schemas.ReviewBody, await self._body(request))
        reviewer = Reviewer(told.by, told.reason)
        found = await self._found(request)
        ref = await reviewing.decide(self._ledger, found, _index(request), decision, reviewer)
        return JSONResponse(await self._public(ref), status_code=202)

    async def scaling(self, _: Request) -> Response:
        return JSONResponse(await self._ledger.reading.scaling())

    async def asyncapi(self, _: Request) -> Response:
        return JSONResponse(told.asyncapi())

    async def schema(self, request: Request) -> Response:
        kind = str(request.path_params["kind"])
        if kind not in [*Kind]:
            raise NotFound(f"no event {kind[:64]}: there are {', '.join(Kind)}")
        return JSONResponse(told.schema(Kind(kind)))

    async def openapi(self, _: Request) -> Response:
        return JSONResponse(document())

    async def _found(self, request: Request) -> Ref:
        """Raises NotFound, and Conflict for an id that two sources share and a request that names none."""
        return await self._ledger.reading.find(known_id(request), _source(request), self._operator.sources)

    async def _public(self, ref: Ref) -> dict[str, Any]:
        found = await self._ledger.reading.prediction(ref)
        if found is None:
            raise NotFound(f"no prediction {ref.id}")
        return found

    async def _body(self, request: Request) -> bytes:
        return await body.read(request.scope, request.receive, self._max_body)


def _index(request: Request) -> int:
    text = request.path_params["index"]
    if not (text.isascii() and text.isdigit() and len(text) <= _INDEX_DIGITS):
        raise NotFound("there is no output with such an index")
    return int(text)


def _query(request: Request) -> query.Query:
    return query.parse(request.query_params.get("query", ""), clock.now())


def _of_deliveries(request: Request) -> query.DeliveryQuery:
    """The query, and beside it `state` and `hook` as parameters of their own."""
    found = query.parse_deliveries(request.query_params.get("query", ""), clock.now())
    state, hook = request.query_params.get("state"), request.query_params.get("hook")
    if state not in (None, *query.STATES):
        raise InvalidInput("state", f"is one of {', '.join(query.STATES)}")
    if (state and found.state) or (hook and found.hook != query.ALL):
        raise InvalidInput("query", "says again what `state` or `hook` says beside it")
    return replace(found, state=state or found.state, hook=hook or found.hook)


def _source(request: Request) -> str | None:
    return request.query_params.get("source") or None


def _cursor(request: Request) -> str | None:
    return request.query_params.get("cursor") or None
