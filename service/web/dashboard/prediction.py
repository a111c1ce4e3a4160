"""A prediction: how it stands, its story, when what happened, what came of it, and what the provider said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from service import clock
from service.errors import InvalidInput, NotFound
from service.prediction import TERMINAL, Disposition
from service.telling import paragraph
from service.telling.chart import WIDTH, picture, took
from service.telling.waterfall import waterfall
from service.web.asked import known_id
from service.web.dashboard import asking, forms, raw
from service.web.dashboard.predictions import thumb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.prediction import Ref
    from service.web.dashboard.desk import Desk

_HAS_FILE = (Disposition.STORED, Disposition.RELEASED)


class _Prediction:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._reading = desk.ledger.reading

    async def page(self, request: Request) -> Response:
        ref = await self._found(request, request.query_params.get("source"))
        record, public = await self._reading.record(ref), await self._reading.prediction(ref)
        if record is None or public is None:
            raise NotFound(f"no prediction {ref.id}")
        ids = [one["id"] for one in public["deliveries"]]
        whole = {one.id: one.whole() for one in await self._reading.deliveries_by_id(ids, whole=True)}
        public["deliveries"] = [whole.get(one["id"], one) for one in public["deliveries"]]
        now = clock.now()
        spans = waterfall(public)
        came = await raw.read(self._desk.shelf.vault, record)
        seen = raw.shown(came.said, public["outputs"])
        return self._desk.look.page(
            request,
            "prediction.html",
            one=public,
            story=paragraph.tell(public, now),
            spans=spans,
            picture=picture(spans, now),
            width=WIDTH,
            took=took,
            outputs=[_output(ref, output) for output in public["outputs"]],
            has_ended=record.stage in TERMINAL,
            came=came,
            seen=seen,
            dropped_at=record.payload_dropped_at,
            curl=raw.curl(self._callback_url(request, ref), came, seen),
            api=asking.address(f"/api/v1/predictions/{ref.id}", source=ref.source),
            replay=f"/predictions/{ref.id}/replay",
            steps=_steps(ref),
        )

    async def replay(self, request: Request) -> Response:
        sent = await forms.read(request)
        ref = await self._found(request, sent.get("source"))
        step = sent.get("from", "")
        if step not in ("fetch", "deliver"):
            raise InvalidInput("from", "is fetch or deliver")
        await self._desk.operator.replay(
            ref.id, ref.source, "fetch" if step == "fetch" else "deliver", new_id=sent.get("new_id") == "1"
        )
        return self._desk.look.back(
            request, asking.of_prediction(*ref), said=f"Replayed from {step}. It is on its way again."
        )

    async def _found(self, request: Request, source: str | None) -> Ref:
        return await self._reading.find(known_id(request), source or None, self._desk.operator.sources)

    def _callback_url(self, request: Request, ref: Ref) -> str:
        """Ours, as this page was reached, while we have no public one."""
        settings = self._desk.settings
        if ref.source not in settings.source_names:
            return str(request.base_url)
        path = settings.account(ref.source).path
        return settings.callback_url(ref.source) or f"{str(request.base_url).rstrip('/')}{path}"


def _output(ref: Ref, output: Mapping[str, Any]) -> dict[str, Any]:
    """With what a page may show of it: of what is held, the blur alone."""
    at = f"/media/{ref.source}/{ref.id}/{output['index']}"
    has_file, is_held = output["disposition"] in _HAS_FILE, output["disposition"] == Disposition.HELD
    return {
        **output,
        "picture": thumb(*ref, output["index"]) if has_file else f"{at}/blur" if is_held else None,
        "file": at if has_file else None,
        "review": f"/review/{ref.source}/{ref.id}/{output['index']}" if is_held else None,
    }


def _steps(ref: Ref) -> list[tuple[str, dict[str, str]]]:
    """What can be done again, each as the label and the fields of a form."""
    source = {"source": ref.source}
    return [
        ("Fetch again", source | {"from": "fetch"}),
        ("Tell the hooks again", source | {"from": "deliver"}),
        ("Tell them under new ids", source | {"from": "deliver", "new_id": "1"}),
    ]


def routes(desk: Desk) -> Sequence[Route]:
    one = _Prediction(desk)
    return (
        Route("/predictions/{id}", one.page, methods=["GET"]),
        Route("/predictions/{id}/replay", one.replay, methods=["POST"]),
    )
