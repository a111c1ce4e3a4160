"""The first page: is anything wrong, worst first, and what came through lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from starlette.routing import Route

from service import troubles
from service.hooks.standing import State as HookState
from service.ledger.durability import State
from service.ledger.query import Query
from service.prediction import Disposition, Stage
from service.throughput import TOLD
from service.web.dashboard import chart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.troubles import Now
    from service.web.dashboard.desk import Desk

LOOKED_AT = 24
"""Predictions that ended last, for their images."""
SHOWN = 12
SQUARE = 480
"""Pixels of a side, where a size is not known: what is shown is cut to a square anyway."""
_SEEN = (Disposition.STORED, Disposition.RELEASED)


class Span(NamedTuple):
    word: str
    label: str
    slots: int
    minutes: int
    slot: str


SPANS = (Span("hour", "Last hour", 60, 1, "a minute"), Span("day", "Last day", 96, 15, "in 15 minutes"))


def routes(desk: Desk) -> Sequence[Route]:
    return (Route("/", _Page(desk).shown, methods=["GET"]),)


class _Page:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def shown(self, request: Request) -> Response:
        wanted = request.query_params.get("span")
        span = next((one for one in SPANS if one.word == wanted), SPANS[0])
        ledger = self._desk.ledger
        now = await troubles.look(ledger, self._desk.settings, slots=span.slots, minutes=span.minutes)
        latest, _ = await ledger.reading.page(Query(stage=Stage.DONE), LOOKED_AT, None)
        return self._desk.look.page(
            request,
            "now.html",
            verdict=_verdict(now),
            looked=now,
            told=now.throughput.total(TOLD),
            chart=chart.bars(now.throughput),
            span=span,
            spans=SPANS,
            pictures=list(_pictures(latest))[:SHOWN],
            behind=sum(one.parked for one in now.facts.hooks if one.state is HookState.DISABLED),
            held=await ledger.reviewers.waiting(),
            newest=latest[0] if latest else None,
        )


def _verdict(now: Now) -> State:
    """The worst of what was found."""
    if not now.healthy:
        return State.FAIL
    return State.WARN if now.troubles else State.OK


def _pictures(predictions: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Only of what was handed on: what is held is counted, and seen in the review."""
    for one in predictions:
        for output in one["outputs"]:
            kind = (output["media_type"] or "").partition("/")[0]
            if output["disposition"] in _SEEN and kind in ("image", "video"):
                where = f"{quote(one['source'])}/{quote(one['id'])}/{output['index']}"
                yield {
                    "src": f"/media/{where}/thumb",
                    "href": f"/predictions/{quote(one['id'])}?source={quote(one['source'])}",
                    "kind": kind,
                    "model": one["model"],
                    "at": one["finished_at"],
                }
