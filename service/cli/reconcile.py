"""`catchlight reconcile`: ask the provider's history, now, for what we never heard of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import errands, screen
from service.cli.context import redis_address
from service.durations import parse_duration
from service.errors import ConfigError, InvalidInput
from service.settings import load
from service.settings.environment import child_environment

if TYPE_CHECKING:
    from service.settings import Settings

PATIENCE = 3600.0
"""Seconds; a week of a busy account is a few thousand pages within the rate."""
LONGEST = 7 * 86_400.0


def command(
    since: Annotated[str, typer.Option(help="How far back, at most the 7d that the provider keeps.")] = "24h",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask the provider for everything it lists since then, and adopt what we never heard of.

    The sweeper does the same on its own, every CATCHLIGHT_RECONCILE_EVERY.
    """
    settings = load()
    try:
        seconds = parse_duration(since)
    except ValueError as error:
        raise InvalidInput("--since", str(error)) from error
    if not 0 < seconds <= LONGEST:
        raise InvalidInput("--since", "must be more than 0 and at most 7d, which is all that is listed")
    if settings.wavespeed_api_key is None:
        raise ConfigError("WAVESPEED_API_KEY: is not set, and without it the provider tells nothing")
    looked = asyncio.run(_reconcile(settings, seconds))
    if as_json:
        screen.data(looked)
        return
    listed, adopted = looked["listed"], looked["adopted"]
    screen.line(f"{listed} listed since {looked['since']}, {adopted} of them new to us")
    if adopted:
        screen.say("`catchlight ls via:reconcile` shows those that had ended")


async def _reconcile(settings: Settings, seconds: float) -> dict[str, object]:
    environment = child_environment({"redis_url": redis_address(settings)})
    looked: dict[str, object] = await errands.run(
        "reconcile", f"{seconds:g}", patience=PATIENCE, environment=environment
    )
    return looked
