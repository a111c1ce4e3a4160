"""`catchlight submit` and `catchlight track`: predictions that we start, and those that others started."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import inputs, screen
from service.cli.batch import submit_all
from service.cli.batch_file import Given
from service.cli.operating import operating
from service.errors import InvalidInput, NotFound
from service.given import check_id
from service.operator import DEFAULT_SOURCE, Submission
from service.prediction import TERMINAL, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.ledger import Ledger
    from service.prediction import Ref

LOOK_EVERY = 0.5


def submit(
    model: Annotated[
        str | None, typer.Argument(help="As the provider names it: vendor/name.", show_default=False)
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("-i", "--input", metavar="K=V", help="An input, or @file.json with an object of them."),
    ] = None,
    *,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="Kept with the prediction and told to hooks; or @file.json."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: the same one never submits twice.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The provider account, when it is not the default one.")
    ] = None,
    many: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="One JSON object a line: input, model, metadata, source, key; a result each.",
        ),
    ] = None,
    batch: Annotated[
        str, typer.Option(help="With --from: under another name the same lines are submitted once more.")
    ] = "",
    at_once: Annotated[int, typer.Option(min=1, max=64, help="With --from: so many at once.")] = 8,
    yes: Annotated[bool, typer.Option("--yes", help="With --from: do it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --from: only check and count.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow it to its end; exit 0 if that is done.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the prediction as JSON.")] = False,
) -> None:
    """Start a prediction with our callback URL; its id is durable before it is printed.

    Values that are JSON numbers, booleans, lists or objects are sent as such, all others as text. With --from
    every line is checked before the first is sent, and the same command again goes on where it was.
    """
    if many is not None:
        _refuse_beside_a_file(given, metadata, key, watch=watch)
        all_of_them = Given(model, source or DEFAULT_SOURCE, batch)
        submit_all(many, all_of_them, at_once, yes=yes, dry_run=dry_run)
        return
    if model is None:
        raise InvalidInput("MODEL", "is missing; name a model, or a file with --from")
    submission = Submission(
        model,
        inputs.parse("-i", given or ()),
        inputs.parse("--metadata", metadata or ()),
        source or DEFAULT_SOURCE,
    )
    asyncio.run(_submit(submission, key, watch=watch, as_json=as_json))


def _refuse_beside_a_file(
    given: list[str] | None, metadata: list[str] | None, key: str | None, *, watch: bool
) -> None:
    named = {"-i": given, "--metadata": metadata, "--key": key, "--watch": watch}
    for option in (option for option, value in named.items() if value):
        raise InvalidInput(option, "says something of one prediction, and --from brings many")


async def _submit(submission: Submission, key: str | None, *, watch: bool, as_json: bool) -> None:
    async with operating(source=submission.source) as (desk, operator):
        ref = await operator.submit(submission, key)
        if not as_json:
            screen.line(ref.id)
        if not watch:
            screen.say(f"submitted; `catchlight show {ref.id}` follows it")
        seen = await (_ended if watch else _now)(desk.ledger, ref)
    if as_json:
        screen.data(seen)
    elif watch:
        _tell_end(seen)
    if watch and seen["stage"] != Stage.DONE:
        raise typer.Exit(1)


async def _now(ledger: Ledger, ref: Ref) -> dict[str, Any]:
    prediction = await ledger.reading.prediction(ref)
    if prediction is None:
        raise NotFound(f"no prediction {ref.id}")
    return prediction


async def _ended(ledger: Ledger, ref: Ref) -> dict[str, Any]:
    """The prediction when it has ended; its timeline is told as it grows."""
    told = 0
    while True:
        prediction = await _now(ledger, ref)
        for entry in prediction["timeline"][told:]:
            screen.say(f"{entry['at']}  {entry['step']:<12} {entry['detail']}")
        told = len(prediction["timeline"])
        if prediction["stage"] in TERMINAL:
            return prediction
        await asyncio.sleep(LOOK_EVERY)


def _tell_end(prediction: Mapping[str, Any]) -> None:
    why = f" ({prediction['reason']})" if prediction["reason"] else ""
    screen.say(f"{prediction['stage']}{why}")
    for output in prediction["outputs"]:
        if output["uri"]:
            screen.line(output["uri"])


def track(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids as the provider gave them.")],
    model: Annotated[str, typer.Option(help="Their model, when you know it.")] = "",
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="Kept with each; or @file.json.")
    ] = None,
    *,
    source: Annotated[str | None, typer.Option(help="Their provider account; the default one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the predictions as JSON.")] = False,
) -> None:
    """Adopt predictions that someone else submitted: their callbacks are expected, and polled for.

    What is known already stays as it is, but takes the metadata.
    """
    about = inputs.parse("--metadata", metadata or ())
    asyncio.run(_track([check_id(id_) for id_ in ids], model, about, source, as_json=as_json))


async def _track(
    ids: list[str], model: str, metadata: dict[str, Any], source: str | None, *, as_json: bool
) -> None:
    async with operating(source=source or DEFAULT_SOURCE) as (desk, operator):
        refs = [await operator.track(id_, model, metadata, source) for id_ in ids]
        predictions = [await _now(desk.ledger, ref) for ref in refs]
    if as_json:
        screen.data({"items": predictions, "next": None})
        return
    for prediction in predictions:
        screen.line(f"{prediction['id']}  {prediction['stage']}")
