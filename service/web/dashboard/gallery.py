"""The gallery: pictures of what may be shown, day by day, and one of them large with what it was made from.

What is held never appears here, whatever is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.routing import Route

from service.errors import InvalidInput, NotFound
from service.given import check_id
from service.prediction import Disposition, Ref
from service.web.dashboard import asking, raw
from service.web.dashboard.asking import address
from service.web.dashboard.predictions import thumb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.ledger.query import Query
    from service.web.dashboard.desk import Desk

PATH = "/gallery"
_SHOWN = (Disposition.STORED, Disposition.RELEASED)
_AT_ONCE, _TILES, _READS_MOST = 50, 40, 3
_QUICK = ("since:1h", "since:24h", "since:7d")
_UNKNOWN_SIZE = (480, 320)
_INDEX_DIGITS = 6
COLUMN, SHORTEST, TALLEST = 26, 6, 60
"""Of a tile, in rows of the grid: a square one is as high as a column is wide."""


class Tile(NamedTuple):
    ref: Ref
    number: int
    """Its index among the outputs."""
    day: str
    """UTC, as `2026-11-28`."""
    model: str
    media_type: str
    width: int
    height: int
    """In pixels; of what has no known size, a shape that holds its place."""

    @property
    def name(self) -> str:
        return f"{self.ref.source}:{self.ref.id}:{self.number}"

    @property
    def rows(self) -> int:
        """How many of the grid's rows it spans, its gap included: `gallery.css` has a class for each number.

        A style of its own is what the content policy forbids; and so no tile moves when its picture comes.
        """
        return min(max(round(COLUMN * self.height / self.width), SHORTEST), TALLEST) + 1

    @property
    def file(self) -> str:
        return f"/media/{self.ref.source}/{self.ref.id}/{self.number}"

    @property
    def thumb(self) -> str:
        return thumb(*self.ref, self.number)

    @property
    def is_video(self) -> bool:
        return self.media_type.startswith("video/")


def tiles(item: Mapping[str, Any]) -> list[Tile]:
    """Those of a prediction's public object that may be shown."""
    ref = Ref(item["source"], item["id"])
    day = str(item["created_at"] or item["received_at"] or "")[:10]
    return [
        Tile(
            ref,
            one["index"],
            day,
            item["model"],
            one["media_type"],
            *((one["width"], one["height"]) if one["width"] and one["height"] else _UNKNOWN_SIZE),
        )
        for one in item["outputs"]
        if one["disposition"] in _SHOWN and str(one["media_type"] or "").startswith(("image/", "video/"))
    ]


def by_day(found: Sequence[Tile]) -> dict[str, list[Tile]]:
    """Newest first. A prediction may be heard of later than one that was created after it."""
    days: dict[str, list[Tile]] = {}
    for tile in found:
        days.setdefault(tile.day, []).append(tile)
    return dict(sorted(days.items(), reverse=True))


class Gallery:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def page(self, request: Request) -> Response:
        asked = asking.read(request)
        cursor = request.query_params.get("cursor") or None
        found, older = ([], None) if asked.query is None else await self._tiles(asked.query, cursor)
        ordered = [tile for of in by_day(found).values() for tile in of]
        wanted = request.query_params.get("open") or ""
        here = {"query": asked.text, "cursor": cursor}
        known = await self._desk.ledger.beside.values(("model",))
        sources = self._desk.operator.sources
        return self._desk.look.page(
            request,
            "gallery.html",
            asked=asked,
            days=by_day(ordered),
            quick=asking.chips(asked.text, _QUICK),
            vocabulary=asking.vocabulary(sources, {"model": known["model"]}),
            list=PATH,
            link=address,
            here_asked=here,
            opened=await self._opened(wanted) if wanted else None,
            around=_around(ordered, wanted),
            newest=address(PATH, query=asked.text) if cursor else None,
            older=address(PATH, query=asked.text, cursor=older) if older else None,
        )

    async def _tiles(self, query: Query, cursor: str | None) -> tuple[list[Tile], str | None]:
        """Enough for a page, or what a bounded look has found, with the cursor of what follows."""
        found: list[Tile] = []
        for _ in range(_READS_MOST):
            items, cursor = await self._desk.ledger.reading.page(
                query, _AT_ONCE, cursor, self._desk.operator.sources, chunks_most=2
            )
            found += [tile for item in items for tile in tiles(item)]
            # A page that is not full has looked at as much as it may: whoever wants more goes on by cursor.
            if cursor is None or len(found) >= _TILES or len(items) < _AT_ONCE:
                break
        return found, cursor

    async def _opened(self, wanted: str) -> dict[str, Any]:
        """Raises NotFound for what is not on show."""
        ref, index = _named(wanted)
        record = await self._desk.ledger.reading.record(ref)
        public = record.public() if record else None
        tile = next((one for one in tiles(public) if one.number == index), None) if public else None
        if record is None or public is None or tile is None:
            raise NotFound("there is no such picture on show")
        came = await raw.read(self._desk.shelf.vault, record)
        said = raw.shown(came.said, public["outputs"]).get("input")
        inputs = said if isinstance(said, dict) else {}
        return {
            "tile": tile,
            "output": public["outputs"][index],
            "url": asking.of_prediction(*ref),
            "at": public["created_at"] or public["received_at"],
            "prompt": inputs.get("prompt") if isinstance(inputs.get("prompt"), str) else None,
            "inputs": {name: value for name, value in inputs.items() if name != "prompt"},
            "json": {"prediction": public["id"], "model": public["model"], "input": inputs},
        }


def _named(wanted: str) -> tuple[Ref, int]:
    """`source:id:index`. Raises NotFound."""
    source, _, rest = wanted.partition(":")
    id_, _, index = rest.partition(":")
    try:
        ref = Ref(check_id(source), check_id(id_))
    except InvalidInput:
        raise NotFound("there is no such picture on show") from None
    if not (index.isascii() and index.isdigit() and len(index) <= _INDEX_DIGITS):
        raise NotFound("there is no such picture on show")
    return ref, int(index)


def _around(ordered: Sequence[Tile], wanted: str) -> tuple[str | None, str | None]:
    """Which stand before and after the one that is open, on this page."""
    names = [tile.name for tile in ordered]
    if wanted not in names:
        return None, None
    at = names.index(wanted)
    return names[at - 1] if at else None, names[at + 1] if at + 1 < len(names) else None


def routes(desk: Desk) -> Sequence[Route]:
    return (Route(PATH, Gallery(desk).page, methods=["GET"]),)
