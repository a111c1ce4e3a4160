"""`catchlight replay`: one prediction again at once, or all that a query finds after a look at them."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import clock
from service.cli import screen
from service.cli.operating import operating
from service.errors import Conflict, LedgerDown, NotFound
from service.ledger.query import parse
from service.operator import check_id
from service.prediction import TERMINAL, Ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger import Ledger
    from service.operator import Operator

PAGE = 200
FAILED, USAGE, PARTLY = 1, 2, 5


class From(StrEnum):
    FETCH = "fetch"
    DELIVER = "deliver"


def command(
    words: Annotated[list[str], typer.Argument(metavar="ID|QUERY...", help="One id, or a query as of `ls`.")],
    step: Annotated[
        From, typer.Option("--from", help="Fetch the outputs again, or only deliver the events again.")
    ] = From.FETCH,
    source: Annotated[
        str | None, typer.Option(help="The provider account, when two have the same id.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: a query needs this.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what a query would touch.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Do it again from a step: a prediction that has ended, or every one that a query finds.

    Files that are stored already stay; events keep their ids. Exit code 5: some could not be replayed.
    """
    if len(words) == 1 and ":" not in words[0]:
        asyncio.run(_single(words[0], source, step, dry_run=dry_run, as_json=as_json))
        return
    text = " ".join(words) + (f" source:{source}" if source else "")
    code = asyncio.run(_query(text, step, yes=yes, dry_run=dry_run, as_json=as_json))
    if code:
        raise typer.Exit(code)


async def _single(id_: str, source: str | None, step: From, *, dry_run: bool, as_json: bool) -> None:
    async with operating() as (desk, operator):
        if dry_run:
            ref = await desk.ledger.reading.find(check_id(id_), source, desk.settings.source_names)
        else:
            ref = await operator.replay(id_, source, step.value)
    done = [] if dry_run else [ref.id]
    if as_json:
        screen.data({"matched": 1, "replayed": done, "failed": []})
    else:
        screen.say(f"{ref.id}: {'would be ' if dry_run else ''}replayed from {step}")


async def _query(text: str, step: From, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    async with operating() as (desk, operator):
        found = await _ended(desk.ledger, text)
        seen = {
            "matched": len(found),
            "oldest": min((item["finished_at"] for item in found), default=None),
            "newest": max((item["finished_at"] for item in found), default=None),
        }
        screen.say(
            f"{len(found)} that have ended match; oldest {seen['oldest']}, newest {seen['newest']}"
            if found
            else "nothing that has ended matches"
        )
        acts = yes and not dry_run
        done, failed = await _replay(operator, found, step) if acts else ([], [])
    if as_json:
        screen.data(seen | {"replayed": done, "failed": failed})
    if found and not acts and not dry_run:
        screen.say("error: add --yes to replay them")
        return USAGE
    if acts:
        screen.say(f"replayed {len(done)} of {len(found)} from {step}")
    for failure in failed if not as_json else ():
        screen.say(f"{failure['id']}: {failure['error']}")
    return exit_code(done, failed)


def exit_code(done: Sequence[object], failed: Sequence[object]) -> int:
    if not failed:
        return 0
    return PARTLY if done else FAILED


async def _ended(ledger: Ledger, text: str) -> list[dict[str, Any]]:
    """All that match and can be replayed: what is still on its way needs no push."""
    wanted = parse(text, clock.now())
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        items, cursor = await ledger.reading.page(wanted, PAGE, cursor)
        found += [item for item in items if item["stage"] in TERMINAL]
        if cursor is None:
            return found


async def _replay(
    operator: Operator, found: list[dict[str, Any]], step: From
) -> tuple[list[str], list[dict[str, str]]]:
    """Ids done, and those that were not with the reason; when Redis goes, the rest is not tried."""
    done: list[str] = []
    failed: list[dict[str, str]] = []
    for item in found:
        ref = Ref(item["source"], item["id"])
        try:
            await operator.replay(ref.id, ref.source, step.value)
        except (NotFound, Conflict) as error:
            failed.append({"id": ref.id, "error": str(error)})
        except LedgerDown as error:
            if not done:
                raise
            failed += [{"id": rest["id"], "error": str(error)} for rest in found[len(done) + len(failed) :]]
            return done, failed
        else:
            done.append(ref.id)
    return done, failed
