"""`catchlight runs`: bulk runs as they were planned, how far they are, and what is to be done again."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from service import clock, logs, runs
from service.cli import bulk, screen
from service.cli.context import opened

Id = Annotated[str, typer.Argument(metavar="ID", help="As `runs ls` gives it.")]
NewRate = Annotated[float | None, typer.Option(help="At most so many per second; as before when not given.")]


def ls(
    limit: Annotated[int, typer.Option(min=1, max=200, help="The most to list.")] = 50,
    as_json: bulk.AsJson = False,
) -> None:
    """List the bulk runs of the last seven days, newest first."""
    asyncio.run(_ls(limit, as_json=as_json))


async def _ls(limit: int, *, as_json: bool) -> None:
    async with opened() as desk:
        found = await desk.ledger.runs.latest(limit)
    items = [run.public(clock.now()) for run in found]
    if as_json:
        screen.data({"items": items, "next": None})
        return
    columns = ("id", "state", "kind", "query", "position", "total", "done", "skipped", "failed", "created_at")
    rows = [[item[name] for name in columns] for item in items]
    screen.table(columns, rows, no_color=desk.settings.no_color)


def show(id_: Id, as_json: bulk.AsJson = False) -> None:
    """Show a run: its plan, how far it is, what became of what it did, and what it left and why."""
    asyncio.run(_show(id_, as_json=as_json))


async def _show(id_: str, *, as_json: bool) -> None:
    async with opened() as desk:
        shown = await runs.shown(desk.ledger, await desk.ledger.runs.get(id_))
    if as_json:
        screen.data(shown)
        return
    became = [(f"became {word}", count) for word, count in shown["became"].items()]
    screen.table(("", ""), bulk.facts(shown) + became, no_color=desk.settings.no_color)
    if shown["left"]:
        columns = ("member", "outcome", "why")
        rows = [[one[name] for name in columns] for one in shown["left"]]
        screen.table(columns, rows, no_color=desk.settings.no_color)


def resume(id_: Id, as_json: bulk.AsJson = False) -> None:
    """Carry a run out from where it is: one that was interrupted, or only planned. Nothing is done twice.

    Exit code 5: some were skipped or failed.
    """
    code = asyncio.run(_resume(id_, as_json=as_json))
    if code:
        raise typer.Exit(code)


async def _resume(id_: str, *, as_json: bool) -> int:
    async with opened() as desk:
        logs.configure("warning", desk.settings.log_format)
        return await bulk.carried_on(desk.ledger, id_, as_json=as_json)


def again(
    id_: Id,
    rate: NewRate = None,
    *,
    yes: bulk.Yes = False,
    dry_run: bulk.DryRun = False,
    as_json: bulk.AsJson = False,
) -> None:
    """Run again over what a run could not do, and what came to a bad end after it, as a run of its own.

    Exit code 5: some were skipped or failed.
    """
    code = asyncio.run(_again(id_, rate, yes=yes, dry_run=dry_run, as_json=as_json))
    if code:
        raise typer.Exit(code)


async def _again(id_: str, rate: float | None, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    async with opened() as desk:
        logs.configure("warning", desk.settings.log_format)
        run = await runs.again(desk.ledger, id_, rate)
        return await bulk.planned(desk.ledger, run, yes=yes, dry_run=dry_run, as_json=as_json)
