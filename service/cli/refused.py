"""`catchlight refused`: callbacks that we turned away, and what lets the next ones through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import clock
from service.cli import screen
from service.cli.context import opened
from service.refusals import remedy
from service.telling.spans import ago

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.settings import Settings

MOST = 200


def command(
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="The most to list.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list ended.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as the API does.")] = False,
) -> None:
    """List the callbacks that we turned away, newest first, and for each reason how many and what to do.

    The last thousand are kept for 30 days. Of a flood the list is a sample; the totals count all.
    """
    asyncio.run(_listed(limit, cursor, as_json=as_json))


async def _listed(limit: int, cursor: str | None, *, as_json: bool) -> None:
    async with opened() as desk:
        found = await desk.ledger.refusals.listed(limit, cursor)
    if as_json:
        screen.data(found)
    elif found["totals"]:
        _show(found, desk.settings)
    else:
        screen.say("no callback was refused")


def _show(found: Mapping[str, Any], settings: Settings) -> None:
    now, no_color = clock.now(), settings.no_color
    paths = [source.path for source in settings.accounts]
    columns = ("refused", "reason", "why", "source", "from", "bytes", "webhook-id")
    screen.table(columns, [_row(item, now) for item in found["items"]], no_color=no_color)
    screen.line("")
    by_number = sorted(found["totals"].items(), key=lambda total: -total[1])
    totals = [(reason, n, remedy(reason, paths)) for reason, n in by_number]
    screen.table(("reason", "in all", "what to do"), totals, no_color=no_color)
    if found["next"]:
        screen.say(f"more: --cursor {found['next']}")


def _row(item: Mapping[str, Any], now: float) -> tuple[object, ...]:
    names = ("reason", "why", "source", "address", "bytes", "webhook_id")
    return (ago(clock.parse_rfc3339(item["at"]), now), *(item[name] for name in names))
