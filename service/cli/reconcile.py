"""`catchlight reconcile`: ask the provider's history, for what we never heard of, and report the drift."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import errands, screen, sharded
from service.cli.context import for_children, ledger_of
from service.drift import NUMBERS, QUERIES, summed
from service.durations import parse_duration
from service.errors import ConfigError, InvalidInput, NotFound
from service.settings import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.settings import Settings

PATIENCE = 3600.0
"""Seconds; a week of a busy account is a few thousand pages within the rate."""
LONGEST = 7 * 86_400.0


def command(
    since: Annotated[str, typer.Option(help="How far back, at most the 7d that the provider keeps.")] = "24h",
    source: Annotated[str | None, typer.Option(help="Only this one; all that have a key otherwise.")] = None,
    *,
    last: Annotated[
        bool, typer.Option("--last", help="Ask nobody: show what the last run found, the sweeper's or yours.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask the provider for everything it lists since then, adopt what we never heard of, report the drift.

    The sweeper does the same on its own, every CATCHLIGHT_RECONCILE_EVERY. Exit code 3: --last, and there was
    no run yet.
    """
    settings = load()
    settings = sharded.at_home_of(settings, source) if source else settings
    reports = asyncio.run(_last(settings, source)) if last else _looked(settings, since, source)
    if not reports:
        raise NotFound("nothing was reconciled yet")
    if as_json:
        screen.data({**summed(reports), "sources": reports})
        return
    for report in reports:
        _show(report, no_color=settings.no_color)
    if not last and any(report["missing"] for report in reports):
        screen.say("`catchlight ls via:reconcile` shows those of the missing that had ended")


def _looked(settings: Settings, since: str, source: str | None) -> list[dict[str, Any]]:
    try:
        seconds = parse_duration(since)
    except ValueError as error:
        raise InvalidInput("--since", str(error)) from error
    if not 0 < seconds <= LONGEST:
        raise InvalidInput("--since", "must be more than 0 and at most 7d, which is all that is listed")
    asked = [settings.account_at_home(source)] if source else settings.at_home
    names = [one.name for one in asked if one.key]
    if not names:
        raise ConfigError(
            f"{f'key of the source {source}' if source else 'WAVESPEED_API_KEY'}: is not set, "
            "and without it the provider tells nothing"
        )
    return asyncio.run(_reconcile(settings, seconds, names))


async def _reconcile(settings: Settings, seconds: float, names: Sequence[str]) -> list[dict[str, Any]]:
    environment = for_children(settings)
    reports: list[dict[str, Any]] = await errands.run(
        "reconcile", f"{seconds:g}", *names, patience=PATIENCE, environment=environment
    )
    return reports


async def _last(settings: Settings, source: str | None) -> list[dict[str, Any]]:
    async with ledger_of(settings) as ledger:
        reports = await ledger.drifts.last()
    return [one for one in reports if source in (None, one["source"])]


def _show(report: Mapping[str, Any], *, no_color: bool) -> None:
    screen.line(
        f"{report['source']}: {report['listed']} listed since {report['since']}, "
        f"{report['missing']} of them new to us; looked at {report['at']}"
    )
    screen.table(("", "", "what it counts", "see"), _rows(report), no_color=no_color)


def _rows(report: Mapping[str, Any]) -> Sequence[Sequence[object]]:
    see = {name: f"catchlight ls {query}" for name, query in QUERIES.items()}
    return [
        (name.replace("_", " "), report[name], meaning, see.get(name)) for name, meaning in NUMBERS.items()
    ]
