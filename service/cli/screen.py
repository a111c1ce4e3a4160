"""What a person sees: data on stdout, talk on stderr, and no stranger's text that steers the terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.text import Text

WIDE = 10_000
"""Columns where nobody looks: a pipe gets whole lines, whatever their length."""
STYLES = {
    "done": "green",
    "ok": "green",
    "delivered": "green",
    "stored": "green",
    "released": "green",
    "working": "cyan",
    "accepted": "cyan",
    "pending": "cyan",
    "warn": "yellow",
    "held": "yellow",
    "rejected": "yellow",
    "failed": "yellow",
    "expired": "yellow",
    "disabled": "yellow",
    "fail": "bold red",
    "dead": "red",
    "lost": "red",
    "unhealthy": "bold red",
    "healthy": "bold green",
}


def data(value: object) -> None:
    """JSON on stdout; in ASCII, so that no character in it means anything to a terminal."""
    typer.echo(json.dumps(value, indent=2))


def record(value: object) -> None:
    """One of many: JSON on a line of its own, told as soon as it is known."""
    typer.echo(json.dumps(value))


def line(text: str) -> None:
    """One piece of data for people, on stdout."""
    typer.echo(plain(text))


def say(text: str) -> None:
    """Talk, on stderr."""
    typer.echo(plain(text), err=True)


def plain(text: object) -> str:
    """On one line, with control characters spelled out: models and errors are a stranger's words."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, no_color: bool = False) -> None:
    """Aligned columns on stdout; nothing is shown as a dash."""
    from rich.table import Table  # noqa: PLC0415 - too slow for a command without a table

    grid = Table(*columns, box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in grid.columns:
        column.overflow = "fold"
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    _console(no_color).print(grid)


def heading(word: str, rest: str = "", *, no_color: bool = False) -> None:
    """A line that begins with one of the styled words."""
    shown = _cell(word)
    _console(no_color).print(shown.append(f" {plain(rest)}") if rest else shown)


def _cell(value: object) -> Text:
    from rich.text import Text  # noqa: PLC0415 - the same

    text = "-" if value is None or value == "" else plain(value)
    return Text(text, STYLES.get(text, ""))


def _console(no_color: bool) -> Console:
    from rich.console import Console  # noqa: PLC0415 - the same

    # None leaves the decision to NO_COLOR, which the library reads itself.
    return Console(
        no_color=no_color or None,
        width=None if sys.stdout.isatty() else WIDE,
        highlight=False,
        markup=False,
        emoji=False,
    )
