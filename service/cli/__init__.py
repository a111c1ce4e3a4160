"""The command line: its commands stand in `service.cli.table`, and each is loaded when it is asked for."""

from __future__ import annotations

import typer

from service.cli.commands import root
from service.cli.exits import FAILED, NOT_FOUND, UNHEALTHY, USAGE
from service.errors import CatchlightError, ConfigError, InvalidInput, LedgerDown, NotFound

EXIT_CODES: tuple[tuple[type[CatchlightError], int], ...] = (
    (ConfigError, USAGE),
    (InvalidInput, USAGE),
    (NotFound, NOT_FOUND),
    (LedgerDown, UNHEALTHY),
)
"""Of our errors; FAILED for all others."""


def main() -> int:
    """Run this process' command line and return its exit code; our errors are one sentence on stderr."""
    try:
        root().main(prog_name="catchlight")
    except CatchlightError as error:
        typer.echo(f"error: {error}", err=True)
        return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), FAILED)
    return 0
