"""`catchlight replay`: one prediction again at once, or all that a query finds as a bulk run."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from service.cli import bulk, screen
from service.cli.operating import operating
from service.given import check_id
from service.ledger.runs import RATE, Kind, Order


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
    rate: bulk.Rate = RATE,
    *,
    new_id: Annotated[
        bool, typer.Option("--new-id", help="Give the events new ids: hooks take them for new ones.")
    ] = False,
    yes: bulk.Yes = False,
    dry_run: bulk.DryRun = False,
    as_json: bulk.AsJson = False,
) -> None:
    """Do it again from a step: a prediction that has ended, or every one that a query finds.

    Nothing is submitted again. Files that are stored already stay, events keep their ids. What a query finds
    is written down as a run before anything is done; `catchlight runs` shows it and carries it on.

    Exit code 5: some could not be replayed.
    """
    if len(words) == 1 and ":" not in words[0]:
        asyncio.run(_single(words[0], source, step, new_id=new_id, dry_run=dry_run, as_json=as_json))
        return
    text = " ".join(words) + (f" source:{source}" if source else "")
    order = Order(Kind.REPLAY, text, step.value, rate, new_id)
    code = asyncio.run(_query(order, yes=yes, dry_run=dry_run, as_json=as_json))
    if code:
        raise typer.Exit(code)


async def _single(
    id_: str, source: str | None, step: From, *, new_id: bool, dry_run: bool, as_json: bool
) -> None:
    async with operating(check_id(id_), source) as (desk, operator):
        if dry_run:
            ref = await desk.ledger.reading.find(id_, source, desk.settings.source_names)
        else:
            ref = await operator.replay(id_, source, step.value, new_id=new_id)
    if as_json:
        screen.data({"id": ref.id, "source": ref.source, "from": step, "replayed": not dry_run})
    else:
        screen.say(f"{ref.id}: {'would be ' if dry_run else ''}replayed from {step}")


async def _query(order: Order, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    async with operating() as (desk, _):
        return await bulk.by_query(desk.ledger, order, yes=yes, dry_run=dry_run, as_json=as_json)
