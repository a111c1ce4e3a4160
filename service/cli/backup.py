"""`catchlight backup` and `restore`: the ledger in one file, and a ledger out of that file."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import clock
from service.cli import screen
from service.cli.context import opened
from service.cli.exits import PARTLY
from service.errors import InvalidInput, NotFound
from service.ledger import backup_file, schema
from service.ledger.copying import AT_ONCE, Copied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from typing import IO


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; it must not exist.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print what it holds as JSON.")] = False,
) -> None:
    """Write the whole ledger to a file, while everything runs.

    What was accepted before it began is in it. It holds payloads and signed links: keep it like a secret.
    Exit code 5: some predictions are corrupt in the ledger, and not in the file.
    """
    if file.exists():
        raise InvalidInput("FILE", f"{file} exists, and a backup replaces nothing: name another")
    copied = asyncio.run(_backup(file))
    told = asdict(copied) | {"file": str(file), "bytes": file.stat().st_size}
    _show(told, "written to", as_json=as_json)
    if copied.unreadable:
        screen.say(f"{copied.unreadable} corrupt in the ledger, and not in it")
        raise typer.Exit(PARTLY)


async def _backup(file: Path) -> Copied:
    copied = Copied()
    part = file.with_name(f"{file.name}.part")
    async with opened() as desk:
        hooks = [hook.name for hook in desk.settings.hooks]
        began = clock.now()
        with _private(part) as stream:
            writer = backup_file.Writer(stream, {"at": clock.rfc3339(began), "schema": schema.VERSION})
            async for line in desk.ledger.copying.out(began, hooks, copied):
                writer.write(line)
            writer.end()
            stream.flush()
            os.fsync(stream.fileno())
    part.rename(file)
    return copied


def _private(part: Path) -> IO[bytes]:
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise InvalidInput("FILE", f"cannot write {part}: {error.strerror}") from error
    return os.fdopen(descriptor, "wb")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `catchlight backup` wrote.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file and count.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what it holds as JSON.")] = False,
) -> None:
    """Write a backup into an empty ledger, before the roles are started.

    A file that is cut off or was altered is refused before anything is written. A restore that broke off goes
    on when it is run again with the same file.
    """
    try:
        stream = file.open("rb")
    except OSError as error:
        raise NotFound(f"cannot read {file}: {error.strerror}") from error
    with stream:
        header = backup_file.check(stream)
        told = _counted(stream) | {"file": str(file), "at": header.get("at")}
        if yes and not dry_run:
            asyncio.run(_restore(stream, int(header.get("schema", 0))))
        _show(told, "restored from" if yes and not dry_run else "to restore from", as_json=as_json)
    if not yes and not dry_run:
        screen.say("error: add --yes to restore it")
        raise typer.Exit(2)


def _counted(stream: BufferedReader) -> dict[str, int]:
    copied = Copied()
    for line in backup_file.read(stream):
        if "ref" in line:
            copied.predictions += 1
            copied.deliveries += len(line["deliveries"])
    return asdict(copied)


async def _restore(stream: BufferedReader, version: int) -> None:
    stream.seek(0)
    name = hashlib.file_digest(stream, "sha256").hexdigest()
    async with opened() as desk:
        copying = desk.ledger.copying
        await copying.begin(name, version)
        now = clock.now()
        for lines in _portions(backup_file.read(stream)):
            await copying.bring(lines, now)
        await copying.end(version)


def _portions(lines: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    portion: list[dict[str, Any]] = []
    for line in lines:
        portion.append(line)
        if len(portion) == AT_ONCE:
            yield portion
            portion = []
    yield portion


def _show(told: dict[str, Any], verb: str, *, as_json: bool) -> None:
    if as_json:
        screen.data(told)
    else:
        screen.line(
            f"{told['predictions']} predictions, {told['deliveries']} deliveries {verb} {told['file']}"
        )
