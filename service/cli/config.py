"""`catchlight config`: the effective settings and where each came from."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import screen
from service.settings import load

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show(as_json: AsJson = False) -> None:
    """Show every setting with its value and its origin; secrets and passwords are masked."""
    settings = load()
    rows = settings.describe()
    if as_json:
        screen.data({"settings": [row._asdict() for row in rows]})
        return
    columns = ("setting", "value", "origin")
    screen.table(
        columns,
        [(row.variable or row.name, row.value.replace("`", ""), row.origin) for row in rows],
        no_color=settings.no_color,
    )


def check(as_json: AsJson = False) -> None:
    """Check the settings: exit code 2 and what is wrong, or 0 and what is allowed but probably not meant."""
    warnings = load().warnings()
    if as_json:
        screen.data({"ok": True, "warnings": warnings})
        return
    for warning in warnings:
        screen.say(f"warning: {warning}")
    screen.say(f"the settings can be used; warnings: {len(warnings)}")
