"""`catchlight work` and `catchlight sweep`: this process becomes the role."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service.cli import processes as many
from service.cli import sharded
from service.cli.context import for_children
from service.settings import load

if TYPE_CHECKING:
    from service.settings import Settings


def work(
    processes: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
) -> None:
    """Fetch outputs, check their flags, store them and notify hooks, until SIGTERM.

    Each process has CATCHLIGHT_CONCURRENCY jobs in flight; more processes use more cores. Of several shards
    each gets so many, unless --shard or CATCHLIGHT_SHARD names one.
    """
    _run("work", load(), processes)


def sweep() -> None:
    """Poll for callbacks that never came, retry what is due, reconcile with the provider, until SIGTERM.

    Run as many as you like: one leads, the others stand by. Several shards are swept by a process each.
    """
    _run("sweep", load(), 1)


def _run(role: str, settings: Settings, processes: int) -> NoReturn:
    shards = sharded.each(settings)
    if len(shards) == processes == 1:
        _become(role, for_children(shards[0]))
    command = many.python("workers", role)
    children = [
        child for one in shards for child in many.several(role, command, for_children(one), processes)
    ]
    raise typer.Exit(many.run(children, settings.grace))


def _become(role: str, environment: dict[str, str]) -> NoReturn:
    """Not a child: signals, the process id and the exit code are the role's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, many.python("workers", role), environment)  # noqa: S606 - no shell is meant
