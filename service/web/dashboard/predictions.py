"""Predictions: the ledger's list, by the query language of everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from service import clock
from service.ledger.query import WORDS
from service.prediction import Disposition, Nsfw, Ref
from service.telling.paragraph import counted
from service.web.dashboard import asking
from service.web.dashboard.asking import address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.ledger import DeliveryRecord
    from service.web.dashboard.desk import Desk

PATH = "/predictions"
_LIMIT = 50
_LOOKED_AT = 6
"""Hundreds of predictions that one page looks at: who asks for what is rare goes on by its link."""
_THUMBS_MOST = 4
_QUICK = ("nsfw:flagged", "via:poll", "since:1h", "since:24h")
_PICTURES = ("image/", "video/")


class Predictions:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def page(self, request: Request) -> Response:
        asked = asking.read(request)
        cursor = request.query_params.get("cursor") or None
        ledger = self._desk.ledger
        items: list[dict[str, Any]] = []
        older = None
        if asked.query is not None:
            items, older = await ledger.reading.page(
                asked.query, _LIMIT, cursor, self._desk.operator.sources, chunks_most=_LOOKED_AT
            )
        refs = [Ref(item["source"], item["id"]) for item in items]
        told = await ledger.beside.deliveries_of(refs)
        known = await ledger.beside.values(("model", "delivery.hook"))
        return self._desk.look.page(
            request,
            "predictions.html",
            asked=asked,
            rows=[row(item, told[ref]) for item, ref in zip(items, refs, strict=True)],
            stages=asking.stages(asked.text, await ledger.reading.counts()),
            quick=asking.chips(asked.text, _QUICK),
            words=[word for word in WORDS if word.predictions],
            vocabulary=asking.vocabulary(
                self._desk.operator.sources, {"model": known["model"], "hook": known["delivery.hook"]}
            ),
            list=PATH,
            link=address,
            newer=address(PATH, query=asked.text) if cursor else None,
            older=address(PATH, query=asked.text, cursor=older) if older else None,
        )


def row(item: Mapping[str, Any], deliveries: Sequence[DeliveryRecord]) -> dict[str, Any]:
    """What the list shows of a prediction's public object."""
    source, id_ = item["source"], item["id"]
    begun = clock.parse_rfc3339(item["created_at"]) or clock.parse_rfc3339(item["received_at"])
    ended = clock.parse_rfc3339(item["finished_at"])
    outputs = item["outputs"]
    return {
        **{name: item[name] for name in ("id", "source", "model", "stage", "reason", "error")},
        "via": item["received_via"],
        "url": asking.of_prediction(source, id_),
        "at": item["created_at"] or item["received_at"],
        "seconds": None if begun is None or ended is None else max(ended - begun, 0.0),
        "thumbs": [thumb(source, id_, one["index"]) for one in outputs if is_shown(one)][:_THUMBS_MOST],
        "outputs": [counted(n, word) for word, n in dispositions(outputs).items()],
        "nsfw": sorted({one["nsfw"] for one in outputs} - {None, Nsfw.CLEAN}),
        "is_clean": bool(outputs) and all(one["nsfw"] == Nsfw.CLEAN for one in outputs),
        "hooks": [{"hook": one.hook, "state": one.state, "event": one.event} for one in deliveries],
    }


def dispositions(outputs: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many of each; `open` are those that have none yet."""
    found: dict[str, int] = {}
    for one in outputs:
        word = one["disposition"] or "open"
        found[word] = found.get(word, 0) + 1
    return found


def is_shown(output: Mapping[str, Any]) -> bool:
    """May a list show it? What a person has let go, and what is clean; and it can be a picture."""
    is_free = output["disposition"] == Disposition.RELEASED or (
        output["disposition"] == Disposition.STORED and output["nsfw"] == Nsfw.CLEAN
    )
    return is_free and str(output["media_type"] or "").startswith(_PICTURES)


def thumb(source: str, id_: str, index: int) -> str:
    return f"/media/{source}/{id_}/{index}/thumb"


def routes(desk: Desk) -> Sequence[Route]:
    return (Route(PATH, Predictions(desk).page, methods=["GET"]),)
