"""`catchlight prune`: what the retentions let go, now instead of in the sweeper's small steps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import clock
from service.cli import screen
from service.cli.context import opened
from service.cli.exits import USAGE
from service.ledger.pruning import KINDS

if TYPE_CHECKING:
    from service.cli.context import Desk

AT_ONCE = 100


def command(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is past its retention, and let it go: records, payloads, refused callbacks, held and
    rejected files.

    Files and payloads are deleted by the workers, which keep ledger and manifest in step. A retention that is
    not set keeps for ever.
    """
    acts = yes and not dry_run
    told = asyncio.run(_prune(acts=acts))
    if as_json:
        screen.data(told)
    else:
        rows = [(name, one["due"], one["bytes"], one["done"]) for name, one in told.items()]
        screen.table(("class", "due", "bytes", "done"), rows)
    if any(one["due"] for one in told.values()) and not yes and not dry_run:
        screen.say("error: add --yes to let them go")
        raise typer.Exit(USAGE)


async def _prune(*, acts: bool) -> dict[str, dict[str, Any]]:
    async with opened() as desk:
        told = await _due(desk, clock.now())
        if acts:
            for name, done in (await _acted(desk, clock.now())).items():
                told[name]["done"] = done
        return told


async def _due(desk: Desk, now: float) -> dict[str, dict[str, Any]]:
    ledger, settings = desk.ledger, desk.settings
    told: dict[str, dict[str, Any]] = {
        "records": {"due": await ledger.pruning.records_due(now), "bytes": None, "done": 0},
        "refused": {
            "due": await ledger.refusals.older(now - settings.refused_retention),
            "bytes": None,
            "done": 0,
        },
    }
    if lives := settings.payload_retention:
        due = await ledger.pruning.payloads_due(lives, settings.retention, now)
    told["payload"] = {"due": due if lives else 0, "bytes": None, "done": 0}
    for kind in KINDS:
        lives = settings.file_retentions[kind]
        found = await ledger.pruning.due(kind, lives, now) if lives else None
        told[kind] = {"due": found.files if found else 0, "bytes": found.bytes if found else 0, "done": 0}
    return told


async def _acted(desk: Desk, now: float) -> dict[str, int]:
    """Records and callbacks forgotten; of the rest the predictions whose workers delete it."""
    ledger, settings = desk.ledger, desk.settings
    done = {"records": 0, "refused": 0, "payload": 0}
    while forgotten := await ledger.sweeping.trim(AT_ONCE):
        done["records"] += forgotten
    while forgotten := await ledger.refusals.forget(now - settings.refused_retention):
        done["refused"] += forgotten
    looked, lives = 1, settings.payload_retention
    while lives and looked:
        looked, given = await ledger.pruning.drop_payloads(lives, settings.retention, AT_ONCE)
        done["payload"] += given
    for kind in KINDS:
        done[kind] = 0
        lives = settings.file_retentions[kind]
        while lives and (given := await ledger.pruning.hand_over(kind, lives, AT_ONCE)):
            done[kind] += given
    return done
