"""`catchlight status`: one screen of health."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import clock, troubles
from service.cli import screen, sharded
from service.cli.context import ledger_of
from service.cli.exits import UNHEALTHY
from service.drift import NUMBERS
from service.errors import LedgerDown
from service.ledger.durability import State
from service.settings import load
from service.telling.spans import ago
from service.troubles import Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.settings import Settings
    from service.troubles import Facts


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as one JSON object.")] = False,
) -> None:
    """One screen of health: what is wrong, worst first, each with the command that ends it; then the counts.

    Exit code 4: Redis does not answer or takes nothing more, a role is missing while work waits, no worker
    can store, more fetches fail than succeed, the secret is not the provider's, or a hook takes nothing. Of
    several shards each gets its screen.
    """
    settings = load()
    if sharded.undecided(settings):
        healthy = _of_all(sharded.each(settings), as_json=as_json)
    else:
        healthy = _of_one(settings, as_json=as_json)
    if not healthy:
        raise typer.Exit(UNHEALTHY)


def _of_one(settings: Settings, *, as_json: bool) -> bool:
    try:
        facts = asyncio.run(_facts(settings))
    except LedgerDown as error:
        if as_json:
            screen.data(_away(error))
        raise
    said = _judged(facts, settings, as_json=as_json)
    if as_json:
        screen.data(said)
    return bool(said["healthy"])


def _judged(facts: Facts, settings: Settings, *, as_json: bool) -> dict[str, Any]:
    """Shown here, unless it is for a program."""
    problems = troubles.judge(facts)
    healthy = troubles.healthy(problems)
    if not as_json:
        _show(facts, problems, healthy=healthy, no_color=settings.no_color)
    return public(facts, problems, healthy=healthy)


def _of_all(shards: Sequence[Settings], *, as_json: bool) -> bool:
    """One screen after the other."""
    told: dict[str, dict[str, Any]] = {}
    for one, facts in sharded.looks(shards, _facts):
        if not as_json:
            screen.line(f"shard {one.shard}")
        if isinstance(facts, LedgerDown):
            told[str(one.shard)] = _away(facts)
            if not as_json:
                screen.heading("unhealthy", str(facts), no_color=one.no_color)
        else:
            told[str(one.shard)] = _judged(facts, one, as_json=as_json)
        if not as_json:
            screen.line("")
    healthy = all(one["healthy"] for one in told.values())
    if as_json:
        screen.data({"healthy": healthy, "shards": told})
    return healthy


def _away(error: LedgerDown) -> dict[str, Any]:
    down = Trouble("redis", State.FAIL, str(error), "catchlight doctor")
    return {"healthy": False, "problems": [down.public()], "redis": False}


async def _facts(settings: Settings) -> Facts:
    async with ledger_of(settings) as ledger:
        return await troubles.gather(ledger, settings)


def public(facts: Facts, problems: Sequence[Trouble], *, healthy: bool) -> dict[str, Any]:
    return {
        "healthy": healthy,
        "redis": True,
        "problems": [problem.public() for problem in problems],
        "roles": [
            {
                "role": one.role,
                "instance": one.instance,
                "beat_at": clock.rfc3339(one.beat_at),
                "since": None if one.since is None else clock.rfc3339(one.since),
                "in_flight": one.said.in_flight,
            }
            for one in facts.roles
        ],
        "stages": dict(facts.stages),
        "scaling": dict(facts.scaling),
        "tally": dict(facts.tally),
        "reconciled": list(facts.drifts),
        "secrets": list(facts.secrets),
    }


def _show(facts: Facts, problems: Sequence[Trouble], *, healthy: bool, no_color: bool) -> None:
    screen.heading("healthy" if healthy else "unhealthy", no_color=no_color)
    for problem in problems:
        screen.heading(problem.state, f"{problem.detail}; {problem.fix}", no_color=no_color)
    now = clock.now()
    screen.line("")
    screen.table(
        ("role", "process", "last beat", "since", "in flight"),
        [
            (one.role, one.instance, ago(one.beat_at, now), ago(one.since, now), one.said.in_flight)
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
