"""`catchlight review`: what is held, and a person's decision about it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import clock, login, logs, reviewing
from service.cli import screen
from service.cli.context import opened
from service.cli.exits import FAILED
from service.errors import NotFound
from service.given import check_id
from service.ledger.query import parse
from service.prediction import TERMINAL, Disposition
from service.review import Decision
from service.reviewing import Reviewer
from service.telling.spans import ago

if TYPE_CHECKING:
    from service.ledger import Ledger
    from service.prediction import Ref

LOOK_EVERY = 0.5
_COLUMNS = ("id", "index", "nsfw", "model", "media_type", "bytes", "width", "height", "held", "error")
_NEXT = {
    Decision.APPROVE: "a worker moves it to its normal place",
    Decision.REJECT: "it stays under held/, and a worker tells the hooks",
    Decision.UNDO: "a worker holds it again",
}
_ENDS_AS = {
    Decision.APPROVE: Disposition.RELEASED,
    Decision.REJECT: Disposition.REJECTED,
    Decision.UNDO: Disposition.HELD,
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API does.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `review ls` gives it.")]
Index = Annotated[int, typer.Argument(metavar="INDEX", min=0, max=999_999, help="Of the output, from 0 on.")]
Why = Annotated[str, typer.Option(help="Kept with the decision: at most 200 characters.")]
By = Annotated[str | None, typer.Option(help="Who decides; your login name when not given.")]
Source = Annotated[str | None, typer.Option(help="The provider account, when two have the same id.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Until a worker has carried it out; exit 1 if it could not.")
]


def ls(
    query: Annotated[
        list[str] | None,
        typer.Argument(metavar="[QUERY]...", help="nsfw:unknown model:flux* id:abc* since:2h"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="The most to list.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List held outputs that nobody has decided about, newest first."""
    asyncio.run(_ls(" ".join(query or ()), limit, cursor, as_json=as_json))


async def _ls(text: str, limit: int, cursor: str | None, *, as_json: bool) -> None:
    now = clock.now()
    wanted = parse(text, now)
    async with opened() as desk:
        items, following = await desk.ledger.reading.held(wanted, limit, cursor)
    if as_json:
        screen.data({"items": items, "next": following})
        return
    shown = [item | {"held": ago(clock.parse_rfc3339(item["held_at"]), now)} for item in items]
    rows = [[item[name] for name in _COLUMNS] for item in shown]
    screen.table(_COLUMNS, rows, no_color=desk.settings.no_color)
    if following:
        screen.say(f"more: --cursor {following}")


def approve(
    id_: Id,
    index: Index,
    why: Why = "",
    by: By = None,
    source: Source = None,
    *,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Release a held output: its file moves to its normal place, and hooks are told where."""
    reviewer = Reviewer(login.name() if by is None else by, why)
    asyncio.run(_decide(id_, index, Decision.APPROVE, reviewer, source, wait=wait, as_json=as_json))


def reject(
    id_: Id,
    index: Index,
    why: Why = "",
    by: By = None,
    source: Source = None,
    *,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Let a held output stay held for good, and tell the hooks so."""
    reviewer = Reviewer(login.name() if by is None else by, why)
    asyncio.run(_decide(id_, index, Decision.REJECT, reviewer, source, wait=wait, as_json=as_json))


def undo(
    id_: Id,
    index: Index,
    why: Why = "",
    by: By = None,
    source: Source = None,
    *,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Take the last decision about an output back: it is held again."""
    reviewer = Reviewer(login.name() if by is None else by, why)
    asyncio.run(_decide(id_, index, Decision.UNDO, reviewer, source, wait=wait, as_json=as_json))


async def _decide(
    id_: str,
    index: int,
    decision: Decision,
    reviewer: Reviewer,
    source: str | None,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    async with opened(check_id(id_), source) as desk:
        logs.configure("warning", desk.settings.log_format)
        ref = await desk.ledger.reading.find(id_, source, desk.settings.source_names)
        await reviewing.decide(desk.ledger, ref, index, decision, reviewer)
        screen.say(f"{decision} of output {index} of {ref.id}, by {reviewer.by}: {_NEXT[decision]}")
        prediction = await (_carried_out if wait else _now)(desk.ledger, ref)
    if as_json:
        screen.data(prediction)
    if wait:
        _tell_end(prediction, index, decision)


async def _now(ledger: Ledger, ref: Ref) -> dict[str, Any]:
    prediction = await ledger.reading.prediction(ref)
    if prediction is None:
        raise NotFound(f"no prediction {ref.id}")
    return prediction


async def _carried_out(ledger: Ledger, ref: Ref) -> dict[str, Any]:
    while True:
        prediction = await _now(ledger, ref)
        if prediction["stage"] in TERMINAL:
            return prediction
        await asyncio.sleep(LOOK_EVERY)


def _tell_end(prediction: dict[str, Any], index: int, decision: Decision) -> None:
    output = next(one for one in prediction["outputs"] if one["index"] == index)
    screen.say(f"output {index} is {output['disposition']}")
    if output["disposition"] != _ENDS_AS[decision]:
        screen.say(
            f"error: {decision} could not be carried out; `catchlight explain {prediction['id']}` says why"
        )
        raise typer.Exit(FAILED)
