"""`catchlight capacity`: what it does, whether more of it would do more, and what bounds it now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import capacity
from service.cli import screen, sharded
from service.cli.context import ledger_of
from service.cli.exits import UNHEALTHY
from service.errors import LedgerDown
from service.settings import load
from service.telling.spans import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.capacity import Facts, Verdict
    from service.ledger.roles import Alive
    from service.settings import Settings

_MB = 1e6
_COLUMNS = (
    *("role", "process", "busy", "no core", "cores", "late ms", "in flight"),
    *("predictions/s", "outputs/s", "MB/s", "attempts/s", "write ms"),
)


def command(
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="What comes and ends, over so many.")] = 5,
    over: Annotated[float, typer.Option(min=0.2, max=600, help="Seconds between two looks at Redis.")] = 5.0,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as one JSON object.")] = False,
) -> None:
    """What bounds it now, whether another process or machine would help, and what to do; then the figures.

    It makes no load of its own: it reads what every process tells of its last minute, what was counted in the
    last minutes, and Redis' own totals twice, a few seconds apart. Of several shards each gets its screen.
    """
    settings = load()
    if sharded.undecided(settings):
        _of_all(sharded.each(settings), over, minutes, as_json=as_json)
        return
    facts = asyncio.run(_facts(settings, over, minutes))
    if as_json:
        screen.data(_public(facts, capacity.judge(facts)))
    else:
        _show(facts, capacity.judge(facts), no_color=settings.no_color)


def _of_all(shards: Sequence[Settings], over: float, minutes: int, *, as_json: bool) -> None:
    """One after the other; exit code 4 at the end when the Redis of one is away."""
    told: dict[str, Any] = {}
    away = False
    for one, facts in sharded.looks(shards, lambda one: _facts(one, over, minutes)):
        if not as_json:
            screen.line(f"shard {one.shard}")
        if isinstance(facts, LedgerDown):
            away, told[str(one.shard)] = True, {"error": str(facts)}
            if not as_json:
                screen.heading("unhealthy", str(facts), no_color=one.no_color)
        else:
            told[str(one.shard)] = _public(facts, capacity.judge(facts))
            if not as_json:
                _show(facts, capacity.judge(facts), no_color=one.no_color)
        if not as_json:
            screen.line("")
    if as_json:
        screen.data({"shards": told})
    if away:
        raise typer.Exit(UNHEALTHY)


async def _facts(settings: Settings, over: float, minutes: int) -> Facts:
    async with ledger_of(settings) as ledger:
        return await capacity.gather(ledger, settings, over=over, minutes=minutes)


def _public(facts: Facts, verdict: Verdict) -> dict[str, Any]:
    redis, server, rates = facts.redis, facts.server, facts.rates
    return {
        "verdict": verdict._asdict(),
        "processes": [_process(one) for one in facts.roles],
        "waiting": dict(facts.scaling) | {"drained_in_seconds": facts.drained_in},
        "per_second": {
            "over_seconds": round(rates.seconds, 1),
            "arriving": round(rates.arriving, 3),
            "recovered": round(rates.recovered, 3),
            "ending": round(rates.ending, 3),
            "telling": round(rates.telling, 3),
            "bytes": round(facts.rate("bytes")),
        },
        "redis": {
            "over_seconds": round(redis.seconds, 1),
            "cpu": round(redis.cpu, 4),
            "writing": None if redis.writing is None else round(redis.writing, 4),
            "commands_per_second": round(redis.commands, 1),
            "scripts_per_second": round(redis.scripts, 1),
            "received_per_second": round(redis.received),
            "sent_per_second": round(redis.sent),
            "predictions": redis.predictions,
            "used_bytes": server.used,
            "most_bytes": server.most or None,
            "bytes_per_prediction": redis.bytes_each and round(redis.bytes_each),
            "lasts_seconds": facts.memory_lasts,
        },
        "disk": {"free_bytes": facts.disk_free, "lasts_seconds": facts.disk_lasts},
    }


def _process(one: Alive) -> dict[str, Any]:
    said, effort = one.said, one.said.effort
    return {
        "role": one.role,
        "instance": one.instance,
        "in_flight": said.in_flight,
        "slots": said.slots,
        "trouble": said.trouble or None,
        "wrote_in_seconds": said.wrote_in,
        "effort": effort
        and {
            "over_seconds": effort.seconds,
            "counted_over_seconds": effort.counted,
            "busy": round(effort.busy, 4),
            "cpu": effort.cpu,
            "loop": effort.loop,
            "starved": effort.starved,
            "lag_seconds": effort.lag,
            "means": dict(effort.means),
            "per_second": dict(effort.rates),
        },
    }


def _show(facts: Facts, verdict: Verdict, *, no_color: bool) -> None:
    screen.line(f"bound by  {verdict.bound.replace('_', ' ')}: {verdict.why}")
    screen.line(f"more?     {verdict.helps}")
    screen.line(f"step      {verdict.step}")
    screen.line("")
    for words in (_waiting(facts), _rates(facts), _of_redis(facts), _of_disk(facts)):
        screen.line(words)
    screen.line("")
    rows = [_row(one) for one in facts.roles]
    if len(facts.of("work")) > 1:
        rows.append(_total(facts))
    screen.table(_COLUMNS, rows, no_color=no_color)


def _waiting(facts: Facts) -> str:
    scaling, left = facts.scaling, facts.drained_in
    drained = "it grows, or stands still" if left is None else f"drained in {span(left)}"
    end = f"; {drained}" if scaling["backlog"] else ""
    return (
        f"waits     {scaling['waiting']} predictions, {scaling['deliveries_due']} deliveries,"
        f" {scaling['due']} polls; the oldest for {span(scaling['oldest_due_seconds'])}{end}"
    )


def _rates(facts: Facts) -> str:
    rates = facts.rates
    if not rates.seconds:
        return "does      not known yet: a sweeper writes down the first totals"
    return (
        f"does      {rates.arriving:.3g}/s come, {rates.ending:.3g}/s end, {rates.telling:.3g}/s deliveries,"
        f" over {span(rates.seconds)}"
    )


def _of_redis(facts: Facts) -> str:
    redis, server = facts.redis, facts.server
    writing = "" if redis.writing is None else f", {redis.writing:.1%} of the time its log"
    memory = f"{server.used / _MB:.0f} MB" + (f" of {server.most / _MB:.0f}" if server.most else "")
    each = f", {redis.bytes_each:.0f} bytes a prediction" if redis.bytes_each else ""
    lasts = facts.memory_lasts
    until = "" if lasts is None else f", takes nothing new in {span(lasts)}"
    return (
        f"Redis     {redis.cpu:.1%} of a core{writing}, {redis.commands:.0f} commands/s"
        f" of which {redis.scripts:.0f} scripts; {memory}{each}{until}"
    )


def _of_disk(facts: Facts) -> str:
    if facts.disk_free is None:
        return "disk      none: outputs go to an object store, or no worker has told of it"
    lasts = facts.disk_lasts
    until = "" if lasts is None else f", full in {span(lasts)}"
    return f"disk      {facts.disk_free / 1e9:.1f} GB free{until}"


def _row(one: Alive) -> tuple[object, ...]:
    effort, said = one.said.effort, one.said
    write = None if said.wrote_in is None else f"{said.wrote_in * 1000:.1f}"
    if effort is None:
        return (one.role, one.instance, *[None] * (len(_COLUMNS) - 3), write)
    flight = f"{effort.mean('in_flight'):.1f} of {said.slots}" if said.slots else None
    shares = (f"{effort.busy:.0%}", f"{effort.starved:.0%}", f"{effort.cpu:.2f}", f"{effort.lag * 1000:.1f}")
    done = list(_done(effort.rate)) if one.role == "work" else [None] * 4
    return (one.role, one.instance, *shares, flight, *done, write)


def _total(facts: Facts) -> tuple[object, ...]:
    cores = f"{sum(effort.cpu for effort in facts.efforts('work')):.2f}"
    flight = f"{facts.mean('in_flight'):.1f} of {facts.slots}"
    return ("work", "all of them", None, None, cores, None, flight, *_done(facts.rate), None)


def _done(rate: Any) -> Iterator[str]:
    yield f"{rate('predictions'):.2f}"
    yield f"{rate('outputs'):.2f}"
    yield f"{rate('bytes') / _MB:.2f}"
    yield f"{rate('attempts'):.2f}"
