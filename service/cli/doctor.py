"""`catchlight doctor`: every assumption tested, each failure with its fix; and a probe for one role."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import checks, screen, server_checks, sharded
from service.cli.context import ledger_of
from service.cli.exits import UNHEALTHY, USAGE
from service.errors import ConfigError, InvalidInput
from service.ledger.durability import Finding, State
from service.settings import load
from service.troubles import ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.settings import Settings


def command(
    role: Annotated[
        str | None, typer.Option(help=f"Only: does a process of it beat? {', '.join(ROLES)}.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
    bundle: Annotated[
        Path | None, typer.Option(help="Write checks, settings, versions and metrics to a new .tar.gz.")
    ] = None,
) -> None:
    """Test every assumption: settings, Redis and its durability, roles, storage, provider, secrets, hooks.

    Exit code 4: something fails. With --role it is 0 as long as one process of that role beats, of several
    shards one on each.
    """
    try:
        settings = load()
    except ConfigError as error:
        _tell([Finding("settings", State.FAIL, str(error), "correct what it names")], as_json=as_json)
        raise typer.Exit(USAGE) from None
    found = asyncio.run(_probed(settings, role) if role else _examined(settings))
    _tell(found, as_json=as_json, no_color=settings.no_color)
    if bundle:
        _bundle(bundle, settings, found)
    if any(one.state is State.FAIL for one in found):
        raise typer.Exit(UNHEALTHY)


def _bundle(target: Path, settings: Settings, found: Sequence[Finding]) -> None:
    from service.cli.bundle import write  # noqa: PLC0415 - the metrics' library is slow to load

    try:
        names = write(target, settings, found)
    except FileExistsError:
        raise InvalidInput("--bundle", f"{target} exists: name a new file") from None
    except OSError as error:
        raise InvalidInput("--bundle", f"{target} cannot be written ({error.strerror})") from error
    screen.say(f"{target}: {', '.join(names)}; no secret is in it, look before you send it")


async def _probed(settings: Settings, role: str) -> list[Finding]:
    if role not in ROLES:
        raise InvalidInput("--role", f"is one of {', '.join(ROLES)}")
    return [await _beats(one, role) for one in sharded.each(settings)]


async def _beats(settings: Settings, role: str) -> Finding:
    async with ledger_of(settings) as ledger:
        alive = [one.instance for one in await ledger.roles.alive() if one.role == role]
    name = sharded.labelled(settings, f"role.{role}")
    if alive:
        return Finding(name, State.OK, f"alive: {', '.join(alive)}")
    return Finding(name, State.FAIL, f"no {ROLES[role]} beats", f"catchlight {role}")


async def _examined(settings: Settings) -> list[Finding]:
    storage, providers, traces, *servers = await asyncio.gather(
        checks.storage(), checks.providers(settings), checks.traces(), *map(_server, sharded.each(settings))
    )
    found = [finding for server in servers for finding in server]
    return [*checks.of_settings(settings), *found, *storage, *providers, *traces]


async def _server(settings: Settings) -> list[Finding]:
    """About the Redis of one shard, which the names of the checks say, or about the only one."""
    found = await server_checks.server(settings)
    return [one._replace(name=sharded.labelled(settings, one.name)) for one in found]


def _tell(found: Sequence[Finding], *, as_json: bool, no_color: bool = False) -> None:
    if as_json:
        screen.data({"checks": [one._asdict() for one in found]})
        return
    columns = ("", "check", "found")
    screen.table(columns, [(one.state, one.name, one.detail) for one in found], no_color=no_color)
    for one in found:
        if one.fix:
            screen.heading(one.state, f"{one.name}: {one.fix}", no_color=no_color)
