"""The command line: its commands stand in `service.cli.table`, and each is loaded when it is asked for."""

from __future__ import annotations

import typer

from service.cli.commands import root
from service.errors import CatchlightError, ConfigError, InvalidInput, LedgerDown, NotFound

FAILED = 1
EXIT_CODES: tuple[tuple[type[CatchlightError], int], ...] = (
    (ConfigError, 2),
    (InvalidInput, 2),
    (NotFound, 3),
    (LedgerDown, 4),
)
"""Exit codes of our errors, 1 for all others. Commands themselves say 4 (unhealthy) and 5 (partly done)."""


def main() -> int:
    """Run this process' command line and return its exit code; our errors are one sentence on stderr."""
    try:
        root().main(prog_name="catchlight")
    except CatchlightError as error:
        typer.echo(f"error: {error}", err=True)
        return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), FAILED)
    return 0
