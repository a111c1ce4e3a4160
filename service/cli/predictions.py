"""`catchlight ls`, `show` and `explain`: predictions as the ledger has them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from service import clock
from service.cli import screen
from service.cli.context import Desk, opened
from service.errors import NotFound
from service.given import check_id
from service.ledger.query import WORDS, parse
from service.telling import paragraph
from service.telling.spans import ago

MOST = 200
_PARTS = {
    "outputs": ("index", "disposition", "nsfw", "media_type", "bytes", "uri", "error"),
    "reviews": ("index", "decision", "by", "at", "reason"),
    "timeline": ("at", "step", "detail"),
    "deliveries": ("id", "state", "hook", "event", "attempts", "last_status", "next_attempt_at", "error"),
}
"""The lists of a prediction, and of each what a person wants to see."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API does.")]
Source = Annotated[str | None, typer.Option(help="The provider account, when two have the same id.")]
Id = Annotated[str, typer.Argument(metavar="ID")]


def ls(
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[QUERY]...",
            help=" ".join(word.example for word in WORDS if word.predictions),
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="The most to list.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List predictions, newest first. All words of the query must hold."""
    asyncio.run(_ls(" ".join(query or ()), limit, cursor, as_json=as_json))


async def _ls(text: str, limit: int, cursor: str | None, *, as_json: bool) -> None:
    now = clock.now()
    wanted = parse(text, now)
    async with opened() as desk:
        items, following = await desk.ledger.reading.page(wanted, limit, cursor, desk.settings.source_names)
    if as_json:
        screen.data({"items": items, "next": following})
        return
    columns = ("id", "stage", "reason", "model", "via", "finished", "outputs")
    screen.table(columns, [_row(item, now) for item in items], no_color=desk.settings.no_color)
    if following:
        screen.say(f"more: --cursor {following}")


def _row(item: dict[str, Any], now: float) -> tuple[object, ...]:
    return (
        item["id"],
        item["stage"],
        item["reason"],
        item["model"],
        item["received_via"],
        ago(clock.parse_rfc3339(item["finished_at"]), now),
        paragraph.outcome(item["outputs"]),
    )


def show(id_: Id, source: Source = None, as_json: AsJson = False) -> None:
    """Show one prediction: its outputs, its timeline and its deliveries."""
    desk, prediction = asyncio.run(_one(id_, source))
    if as_json:
        screen.data(prediction)
    else:
        _show(prediction, no_color=desk.settings.no_color)


def explain(id_: Id, source: Source = None) -> None:
    """Tell the story of one prediction in a paragraph: what happened, when, and what happens next."""
    _, prediction = asyncio.run(_one(id_, source))
    screen.line(paragraph.tell(prediction, clock.now()))


async def _one(id_: str, source: str | None) -> tuple[Desk, dict[str, Any]]:
    async with opened(check_id(id_), source) as desk:
        ref = await desk.ledger.reading.find(id_, source, desk.settings.source_names)
        prediction = await desk.ledger.reading.prediction(ref)
    if prediction is None:
        raise NotFound(f"no prediction {id_}")
    return desk, prediction


def _show(prediction: dict[str, Any], *, no_color: bool) -> None:
    facts = [(name, value) for name, value in prediction.items() if name not in (*_PARTS, "metadata")]
    facts += [(f"metadata.{name}", value) for name, value in prediction["metadata"].items()]
    screen.table(("", ""), facts, no_color=no_color)
    for part, columns in _PARTS.items():
        if rows := prediction[part]:
            screen.line("")
            screen.table(columns, [[row[name] for name in columns] for row in rows], no_color=no_color)
