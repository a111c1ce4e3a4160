"""`catchlight deliveries`: what was sent to hooks, and sending it again."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated, Any

import typer

from service import clock
from service.cli import bulk, screen
from service.cli.context import opened
from service.cli.exits import PARTLY
from service.errors import NotFound
from service.ledger.query import WORDS, parse_deliveries
from service.ledger.runs import RATE, Kind, Order
from service.telling.spans import span

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API does.")]


class State(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


def ls(
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[QUERY]...", help=" ".join(word.example for word in WORDS if word.deliveries)
        ),
    ] = None,
    *,
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    hook: Annotated[str | None, typer.Option(help="Only those for this hook.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="The most to list.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries, newest first: one event for one hook each. All words of the query must hold."""
    also = [f"state:{state}"] if state else []
    also += [f"hook:{hook}"] if hook else []
    asyncio.run(_ls(" ".join([*(query or ()), *also]), limit, cursor, as_json=as_json))


async def _ls(text: str, limit: int, cursor: str | None, *, as_json: bool) -> None:
    wanted = parse_deliveries(text, clock.now())
    async with opened() as desk:
        items, following = await desk.ledger.reading.deliveries(limit, cursor, wanted)
    if as_json:
        screen.data({"items": items, "next": following})
        return
    now = clock.now()
    columns = ("id", "state", "hook", "event", "prediction", "attempts", "last", "next", "error")
    screen.table(columns, [_row(item, now) for item in items], no_color=desk.settings.no_color)
    if following:
        screen.say(f"more: --cursor {following}")


def _row(item: dict[str, Any], now: float) -> tuple[object, ...]:
    again = clock.parse_rfc3339(item["next_attempt_at"])
    return (
        *(item[name] for name in ("id", "state", "hook", "event", "prediction", "attempts", "last_status")),
        None if again is None else f"in {span(again - now)}",
        item["error"],
    )


def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `deliveries ls` gives it.")],
    as_json: AsJson = False,
) -> None:
    """Show one delivery: its event, its hook, and of its last 20 attempts when, how long, and the answer."""
    asyncio.run(_show(id_, as_json=as_json))


async def _show(id_: str, *, as_json: bool) -> None:
    async with opened() as desk:
        delivery = await desk.ledger.reading.delivery(id_)
    if delivery is None:
        raise NotFound(f"no delivery {id_}")
    if as_json:
        screen.data(delivery.whole())
        return
    no_color = desk.settings.no_color
    screen.table(("", ""), list(delivery.public().items()), no_color=no_color)
    if delivery.history:
        screen.line("")
        rows = [[_tried(one) for one in attempt.public().items()] for attempt in delivery.history]
        screen.table(tuple(delivery.history[0].public()), rows, no_color=no_color)


def _tried(field: tuple[str, object]) -> object:
    name, value = field
    return ("probe" if value else None) if name == "probe" else value


def retry(
    words: Annotated[
        list[str], typer.Argument(metavar="ID...|QUERY...", help="Ids, or a query as of `deliveries ls`.")
    ],
    rate: bulk.Rate = RATE,
    *,
    yes: bulk.Yes = False,
    dry_run: bulk.DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send deliveries again, whatever became of them: the same event, the same bytes.

    Ids are sent at once. What a query finds, of those that have ended, is written down as a run before
    anything is sent; `catchlight runs` shows it and carries it on.

    Exit code 5: some of the ids are not known, or some were not sent.
    """
    if any(":" in word for word in words):
        order = Order(Kind.RETRY, " ".join(words), "deliver", rate)
        if code := asyncio.run(_retry_query(order, yes=yes, dry_run=dry_run, as_json=as_json)):
            raise typer.Exit(code)
        return
    known, unknown = asyncio.run(_retry(words, dry_run=dry_run))
    if as_json:
        screen.data({"retried": [] if dry_run else known, "unknown": unknown})
    else:
        screen.say(f"{len(known)} of {len(words)} {'would be' if dry_run else 'are'} sent again")
    if unknown:
        screen.say(f"error: no delivery {', '.join(unknown)}")
        raise typer.Exit(PARTLY)


async def _retry_query(order: Order, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    async with opened() as desk:
        return await bulk.by_query(desk.ledger, order, yes=yes, dry_run=dry_run, as_json=as_json)


async def _retry(ids: list[str], *, dry_run: bool) -> tuple[list[str], list[str]]:
    async with opened() as desk:
        known = [id_ for id_ in ids if await desk.ledger.reading.delivery(id_)]
        if not known:
            raise NotFound(f"no delivery {', '.join(ids)}")
        if not dry_run:
            await desk.ledger.deliveries.send_again(known)
    return known, [id_ for id_ in ids if id_ not in known]
