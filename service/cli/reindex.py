"""`catchlight reindex`: a ledger that was lost, rebuilt from the manifests that stand in storage."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import errands, screen
from service.cli.context import for_children, opened
from service.cli.exits import PARTLY, USAGE

if TYPE_CHECKING:
    from service.settings import Settings

PATIENCE = 7 * 86_400.0
"""Seconds. A million manifests in a bucket take hours."""


class From(StrEnum):
    STORAGE = "storage"


def command(
    _: Annotated[From, typer.Option("--from", help="Where to rebuild it from.")] = From.STORAGE,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be rebuilt.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write every ended prediction that storage has a manifest of, and the ledger has not, into the ledger.

    What the ledger has stays as it is; another run goes on where this one ended. No hook is told, and the
    provider is not asked. Exit code 5: some manifests could not be read.
    """
    acts = yes and not dry_run
    report = asyncio.run(_reindex(acts=acts))
    _show(report, acts=acts, as_json=as_json)
    if report["missing"] and not acts and not dry_run:
        screen.say("error: add --yes to rebuild them")
        raise typer.Exit(USAGE)
    if report["unreadable"]:
        raise typer.Exit(PARTLY)


async def _reindex(*, acts: bool) -> dict[str, Any]:
    async with opened() as desk:
        # That Redis is away is told before all of the storage is read.
        await desk.ledger.reading.counts()
        return await _asked(desk.settings, acts=acts)


async def _asked(settings: Settings, *, acts: bool) -> dict[str, Any]:
    environment = for_children(settings)
    how = () if acts else ("dry",)
    report: dict[str, Any] = await errands.run("reindex", *how, patience=PATIENCE, environment=environment)
    return report


def _show(report: dict[str, Any], *, acts: bool, as_json: bool) -> None:
    if as_json:
        screen.data(report)
        return
    told = f"{report['rebuilt']} rebuilt" if acts else f"{report['missing']} to rebuild"
    screen.line(
        f"{report['found']} found: {told}, {report['known']} known to the ledger, "
        f"{report['aged']} past their retention, {report['unreadable']} unreadable"
    )
    for one in report["why"]:
        screen.say(f"{one['manifest']}: {one['why']}")
