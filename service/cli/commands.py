"""The tree of commands. What a command imports is loaded when it runs, not before."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from service.cli.table import GROUPS, ROWS

if TYPE_CHECKING:
    from service.cli.table import Row


class Late(TyperCommand):
    """Stands in for a command until its arguments are parsed: enough for lists and suggestions."""

    def __init__(self, name: str, row: Row) -> None:
        super().__init__(name, help=row.summary, rich_markup_mode=None)
        self._row = row

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.loaded().make_context(info_name, args, parent, **extra)

    def loaded(self) -> Any:
        module, _, function = self._row.target.partition(":")
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        command = app.command(self.name, epilog=f"Example: catchlight {self._row.example}")
        command(getattr(import_module(f"service.cli.{module}"), function))
        return typer.main.get_command(app)


def root() -> TyperGroup:
    """The whole tree, with nothing in it loaded yet."""
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        # Rich takes longer to import than all else that --help needs.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="\n".join(["\b", "Examples:", *(f"  catchlight {row.example}" for row in ROWS)]),
    )
    app.callback()(_root)
    top = typer.main.get_group(app)
    groups = {name: _group(name, summary) for name, summary in GROUPS.items()}
    for row in ROWS:
        group, _, name = row.path.rpartition(" ")
        if group:
            groups[group].add_command(Late(name, row))
            top.add_command(groups[group])
        else:
            top.add_command(Late(name, row))
    return top


def _group(name: str, summary: str) -> TyperGroup:
    return TyperGroup(name=name, help=summary, no_args_is_help=True, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - too slow for every start

        typer.echo(f"catchlight {version('catchlight')}")
        raise typer.Exit


def _root(
    _: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and leave."
    ),
    shard: str | None = typer.Option(None, metavar="NAME", help="Instead of CATCHLIGHT_SHARD."),
) -> None:
    """Never lose a generation: receive the provider's callbacks, fetch every output, tell your hooks.

    Data goes to stdout, talk to stderr. Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 not found,
    4 unhealthy, 5 partly done. Each command explains itself with --help.
    """
    if shard is not None:
        from service.settings.environment import choose_shard  # noqa: PLC0415 - too slow for --help

        choose_shard(shard)
