"""What all bulk commands have in common: the plan, the yes, the progress, and what came of it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import clock, runs
from service.cli import screen
from service.cli.exits import FAILED, PARTLY, USAGE
from service.errors import LedgerDown
from service.telling.spans import span

if TYPE_CHECKING:
    from service.ledger import Ledger
    from service.ledger.runs import Order, Run

_SAY_EVERY = 2.0

AsJson = Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it: a query needs this.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write the plan of a query down, and do nothing.")]
Rate = Annotated[float, typer.Option(help="At most so many per second.")]


async def by_query(ledger: Ledger, order: Order, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Look, tell, and act on exactly that; the exit code."""
    run = await runs.plan(ledger, order)
    return await planned(ledger, run, yes=yes, dry_run=dry_run, as_json=as_json)


async def planned(ledger: Ledger, run: Run, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    _tell_plan(run)
    if not run.total or dry_run or not yes:
        if as_json:
            screen.data(run.public(clock.now()))
        if run.total:
            screen.say(
                f"`catchlight runs resume {run.id}` acts on exactly these"
                if dry_run
                else f"error: add --yes; or `catchlight runs resume {run.id}` acts on exactly these"
            )
        return USAGE if run.total and not dry_run else 0
    return await carried_on(ledger, run.id, as_json=as_json)


def _tell_plan(run: Run) -> None:
    if run.total:
        screen.say(
            f"{run.id}: {run.total} that have ended match; oldest {run.oldest}, newest {run.newest}; "
            f"{span(run.seconds)} at {run.order.rate:g} per second"
        )
    else:
        screen.say("nothing that has ended matches")


async def carried_on(ledger: Ledger, run_id: str, *, as_json: bool) -> int:
    """From where it was until its end; the exit code. What stops it on the way is told, with how to go on."""
    said_at, position = time.monotonic(), 0

    def progress(done: int, total: int) -> None:
        nonlocal said_at, position
        position = done
        if time.monotonic() - said_at > _SAY_EVERY:
            said_at = time.monotonic()
            screen.say(f"{done} of {total}")

    try:
        run = await runs.carry_on(ledger, run_id, progress=progress)
    except (asyncio.CancelledError, LedgerDown):
        after = f" after {position}" if position else ""
        screen.say(f"interrupted{after}; `catchlight runs resume {run_id}` goes on from there")
        raise
    left = await ledger.runs.left(run.id)
    if as_json:
        screen.data(await runs.shown(ledger, run))
    else:
        screen.say(f"{run.id}: {counted(run)}")
        for one in left:
            screen.say(f"{one.member}: {one.outcome}: {one.why}")
    if not left:
        return 0
    return PARTLY if run.done else FAILED


def counted(run: Run) -> str:
    left: list[str] = [f"{n} {word}" for n, word in ((run.skipped, "skipped"), (run.failed, "failed")) if n]
    return ", ".join([f"{run.done} of {run.total} done", *left])


def facts(run: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in run.items() if name not in ("became", "left")]
