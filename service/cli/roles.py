"""`catchlight work` and `catchlight sweep`: this process becomes the role."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from service.cli import processes as many
from service.cli.context import redis_address
from service.settings import load
from service.settings.environment import child_environment


def work(
    processes: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
) -> None:
    """Fetch outputs, check their flags, store them and notify hooks, until SIGTERM.

    Each process has CATCHLIGHT_CONCURRENCY jobs in flight; more processes use more cores.
    """
    settings = load()
    environment = child_environment({"redis_url": redis_address(settings)})
    if processes == 1:
        _become("work", environment)
    command = many.python("workers", "work")
    raise typer.Exit(many.run("work", command, environment, processes, settings.grace))


def sweep() -> None:
    """Poll for callbacks that never came, retry what is due, reconcile with the provider, until SIGTERM.

    Run as many as you like: one leads, the others stand by.
    """
    _become("sweep", child_environment({"redis_url": redis_address(load())}))


def _become(role: str, environment: dict[str, str]) -> NoReturn:
    """Not a child: signals, the process id and the exit code are the role's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, many.python("workers", role), environment)  # noqa: S606 - no shell is meant
