"""`catchlight status`: one screen of health."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import clock
from service.cli import health, screen
from service.cli.context import ledger_of
from service.cli.exits import UNHEALTHY
from service.drift import NUMBERS
from service.errors import LedgerDown
from service.ledger.durability import Finding, State
from service.refusals import RefusedFor
from service.settings import load
from service.telling.spans import ago

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger import Ledger
    from service.settings import Settings

_LATELY = 3600.0
_LOOKED_AT = 200
"""Refused callbacks."""


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as one JSON object.")] = False,
) -> None:
    """One screen of health: what is wrong, worst first, each with the command that ends it; then the counts.

    Exit code 4: Redis does not answer, or a role is missing while work waits.
    """
    settings = load()
    try:
        facts = asyncio.run(_facts(settings))
    except LedgerDown as error:
        if as_json:
            down = Finding("redis", State.FAIL, str(error), "catchlight doctor")
            screen.data({"healthy": False, "problems": [down._asdict()], "redis": False})
        raise
    problems = health.judge(facts)
    healthy = all(problem.state is not State.FAIL for problem in problems)
    if as_json:
        screen.data(_public(facts, problems, healthy=healthy))
    else:
        _show(facts, problems, healthy=healthy, no_color=settings.no_color)
    if not healthy:
        raise typer.Exit(UNHEALTHY)


async def _facts(settings: Settings) -> health.Facts:
    async with ledger_of(settings) as ledger:
        alive = await ledger.roles.alive()
        return health.Facts(
            roles=[
                {"role": one.role, "instance": one.instance, "beat_at": clock.rfc3339(one.beat_at)}
                for one in alive
            ],
            stages=await ledger.reading.counts(),
            scaling=await ledger.reading.scaling(),
            tally=await ledger.reading.tally(),
            disabled=await _disabled(ledger, settings),
            forged=await _forged(ledger),
            urgent_within=settings.urgent_within,
            drifts=await ledger.drifts.last(),
            secrets=await ledger.secrets.last(),
            warnings=settings.warnings(),
        )


async def _disabled(ledger: Ledger, settings: Settings) -> dict[str, str]:
    states = {hook.name: await ledger.deliveries.hook_state(hook.name) for hook in settings.hooks}
    return {name: state.get("why", "") for name, state in states.items() if "disabled" in state}


async def _forged(ledger: Ledger) -> int:
    last, _ = await ledger.refusals.page(_LOOKED_AT, None)
    since = clock.now() - _LATELY
    return sum(one.reason == RefusedFor.SIGNATURE and one.at > since for one in last)


def _public(facts: health.Facts, problems: Sequence[Finding], *, healthy: bool) -> dict[str, Any]:
    return {
        "healthy": healthy,
        "redis": True,
        "problems": [problem._asdict() for problem in problems],
        "roles": list(facts.roles),
        "stages": dict(facts.stages),
        "scaling": dict(facts.scaling),
        "tally": dict(facts.tally),
        "reconciled": list(facts.drifts),
        "secrets": list(facts.secrets),
    }


def _show(facts: health.Facts, problems: Sequence[Finding], *, healthy: bool, no_color: bool) -> None:
    screen.heading("healthy" if healthy else "unhealthy", no_color=no_color)
    for problem in problems:
        screen.heading(problem.state, f"{problem.detail}; {problem.fix}", no_color=no_color)
    now = clock.now()
    screen.line("")
    screen.table(
        ("role", "process", "last beat"),
        [
            (one["role"], one["instance"], ago(clock.parse_rfc3339(one["beat_at"]), now))
            for one in facts.roles
        ],
        no_color=no_color,
    )
    if facts.drifts:
        screen.line("")
        screen.table(
            ("reconciled", "last", *(name.replace("_", " ") for name in NUMBERS)),
            [
                (one["source"], ago(clock.parse_rfc3339(one["at"]), now), *(one[name] for name in NUMBERS))
                for one in facts.drifts
            ],
            no_color=no_color,
        )
    for counts in (facts.stages, facts.scaling, facts.tally):
        screen.line("")
        screen.table([name.replace("_", " ") for name in counts], [list(counts.values())], no_color=no_color)
