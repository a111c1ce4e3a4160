"""`catchlight hooks`: which downstream endpoints there are, and switching one off and on."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import clock, keys
from service.cli import screen
from service.cli.context import opened
from service.errors import NotFound
from service.hooks import mask_url

if TYPE_CHECKING:
    from service.hooks import Hook
    from service.ledger import Ledger
    from service.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As in catchlight.toml.")]


def ls(as_json: AsJson = False) -> None:
    """List the hooks of catchlight.toml, and whether each is enabled; one that answers 410 is not."""
    settings, hooks = asyncio.run(_ls())
    if as_json:
        screen.data({"items": hooks, "next": None})
        return
    columns = (
        "name",
        "state",
        "why",
        "failing_since",
        "in_a_row",
        "trouble",
        "parked",
        "url",
        "events",
        "models",
    )
    screen.table(
        columns, [[_text(hook[name]) for name in columns] for hook in hooks], no_color=settings.no_color
    )


async def _ls() -> tuple[Settings, list[dict[str, Any]]]:
    async with opened() as desk:
        return desk.settings, [await _public(desk.ledger, hook) for hook in desk.settings.hooks]


async def _public(ledger: Ledger, hook: Hook) -> dict[str, Any]:
    state = await ledger.deliveries.hook_state(hook.name)
    (standing,) = await ledger.hooks.standings([hook.name])
    since, failing = state.get("disabled"), state.get("failing_since")
    return {
        "name": hook.name,
        "kind": hook.kind,
        "url": target(hook),
        "events": list(hook.events),
        "models": list(hook.models),
        "state": "disabled" if since else "enabled",
        "since": clock.rfc3339(float(since)) if since else None,
        "why": state.get("why") or None,
        "failing_since": clock.rfc3339(float(failing)) if failing else None,
        "in_a_row": standing.in_a_row or None,
        "trouble": standing.trouble or None,
        "parked": standing.parked,
    }


def target(hook: Hook) -> str:
    """Where its events go, without the secrets in that: a URL, or the key of a stream."""
    return keys.STREAM + hook.stream if hook.is_stream else mask_url(hook.url)


def _text(value: object) -> object:
    return ", ".join(value) if isinstance(value, list) else value


def enable(name: Name, as_json: AsJson = False) -> None:
    """Enable a hook; everything that waited for it is sent."""
    asyncio.run(_switch(name, None, as_json=as_json))


def disable(
    name: Name,
    why: Annotated[str, typer.Option(help="Shown to whoever wonders.")] = "by an operator",
    as_json: AsJson = False,
) -> None:
    """Disable a hook: its deliveries wait, and none is lost, until it is enabled again."""
    asyncio.run(_switch(name, why, as_json=as_json))


async def _switch(name: str, why: str | None, *, as_json: bool) -> None:
    """Disabled with a reason, enabled without one."""
    async with opened() as desk:
        hook = known(desk.settings, name)
        if why is None:
            await desk.ledger.deliveries.enable(name)
        else:
            await desk.ledger.deliveries.disable(name, why, clock.now())
        state = await _public(desk.ledger, hook)
    if as_json:
        screen.data(state)
    else:
        screen.say(f"{name} is {state['state']}")


def known(settings: Settings, name: str) -> Hook:
    hooks = {hook.name: hook for hook in settings.hooks}
    if name not in hooks:
        nearest = get_close_matches(name, hooks, n=1, cutoff=0)
        hint = f"; the nearest is {nearest[0]}" if nearest else "; catchlight.toml declares none"
        raise NotFound(f"no hook {name}{hint}")
    return hooks[name]
