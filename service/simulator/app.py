"""The provider's HTTP interface: its API under /api/v3, and /truth, which the real one does not offer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service import clock
from service.simulator import wire
from service.simulator.cdn import cdn_routes
from service.simulator.simulator import Rejected, Simulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from service.simulator.truth import Prediction

_LARGEST_PAGE = 100


def build(sim: Simulator) -> Starlette:
    api = _Api(sim)
    calls: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", "/predictions/{id}/result", api.result),
        ("POST", "/predictions/delete", api.delete),
        ("POST", "/predictions", api.list),
        ("GET", "/webhook/secret", api.secret),
        ("GET", "/balance", api.balance),
        ("POST", "/{model:path}", api.submit),
    ]
    routes = [Route(f"/api/v3{path}", api.keyed(call), methods=[method]) for method, path, call in calls]
    return Starlette(routes=[*routes, *cdn_routes(sim), Route("/truth", api.truth)])


class _Api:
    def __init__(self, sim: Simulator) -> None:
        self.sim = sim

    def keyed(
        self, call: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            scheme, _, key = request.headers.get("authorization", "").partition(" ")
            if (
                scheme.lower() != "bearer"
                or not key.strip()
                or self.sim.config.api_key not in ("", key.strip())
            ):
                return wire.refused(401, "unauthorized: invalid api key")
            return await call(request)

        return checked

    async def submit(self, request: Request) -> Response:
        inputs = await _object(request)
        if inputs is None:
            return wire.refused(400, "the body must be a JSON object")
        webhook = request.query_params.get("webhook")
        if webhook and inputs.get("enable_base64_output"):
            return wire.bare_refusal("webhook callback does not support base64 output")
        try:
            prediction = self.sim.submit(request.path_params["model"], inputs, webhook)
        except Rejected as refusal:
            return wire.refused(400, str(refusal), refusal.code)
        return wire.enveloped(wire.payload(prediction, prediction.created, self.sim.base_url))

    async def result(self, request: Request) -> Response:
        if self.sim.faults.random() < self.sim.config.fault_rate:
            return wire.fault(self.sim.faults)
        prediction = self.sim.find(request.path_params["id"])
        if prediction is None:
            return wire.refused(404, "prediction not found")
        return wire.enveloped(wire.payload(prediction, clock.now(), self.sim.base_url))

    async def list(self, request: Request) -> Response:
        query = await _object(request)
        page, size = (query or {}).get("page", 1), (query or {}).get("page_size", 10)
        if query is None or not _is_count(page) or not _is_count(size) or size > _LARGEST_PAGE:
            return wire.refused(400, f"page counts from 1 and page_size goes up to {_LARGEST_PAGE}", 1401)
        now = clock.now()
        found = [prediction for prediction in self.sim.listed() if _matches(prediction, query, now)]
        shown = found[(page - 1) * size : page * size]
        return wire.enveloped({"page": page, "items": [self._item(prediction, now) for prediction in shown]})

    def _item(self, prediction: Prediction, now: float) -> dict[str, Any]:
        """Lists do not tell the NSFW flags: a completion found here must still be fetched by its result."""
        item = wire.payload(prediction, now, self.sim.base_url)
        del item["has_nsfw_contents"]
        return item

    async def delete(self, request: Request) -> Response:
        ids = (await _object(request) or {}).get("ids")
        if not isinstance(ids, list):
            return wire.refused(400, "missing parameter: ids", 1400)
        return wire.enveloped({"deleted_count": self.sim.delete([str(id_) for id_ in ids])})

    async def secret(self, _: Request) -> Response:
        return wire.enveloped({"secret": self.sim.config.secrets[0]})

    async def balance(self, _: Request) -> Response:
        return wire.enveloped({"balance": 42.5})

    async def truth(self, _: Request) -> Response:
        return JSONResponse(self.sim.truth())


async def _object(request: Request) -> dict[str, Any] | None:
    """The body as a JSON object; an empty body is an empty one."""
    body = await request.body()
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _matches(prediction: Prediction, query: dict[str, Any], now: float) -> bool:
    after = clock.parse_rfc3339(query.get("created_after"))
    before = clock.parse_rfc3339(query.get("created_before"))
    return (
        query.get("model") in (None, "", prediction.model)
        and query.get("status") in (None, "", prediction.status(now))
        and (after is None or prediction.created >= after)
        and (before is None or prediction.created <= before)
    )
