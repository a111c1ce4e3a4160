"""Read the facts: what is told and counted anyway, and two looks at Redis a few seconds apart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from service import clock, keys
from service.capacity.facts import Facts, OfRedis, Rates
from service.ledger import server
from service.ledger.connection import reaching
from service.throughput import NAMES, RECOVERED, TOLD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.ledger import Ledger
    from service.ledger.connection import Redis
    from service.settings import Settings
    from service.throughput import Sample

_ARRIVING = tuple(name for name in NAMES if name.startswith("via_"))
_ENDING = tuple(name for name in NAMES if name.startswith("stage_"))
_SECTIONS = ("cpu", "stats", "commandstats", "debug", "memory")


async def gather(ledger: Ledger, settings: Settings, *, over: float, minutes: int) -> Facts:
    """`over`: seconds between the two looks. Raises LedgerDown."""
    first = await _look(ledger.redis)
    await asyncio.sleep(over)
    last = await _look(ledger.redis)
    samples = await ledger.history.last(minutes)
    return Facts(
        now=clock.now(),
        roles=await ledger.roles.alive(),
        scaling=await ledger.reading.scaling(),
        rates=rates(samples[0], samples[-1]),
        redis=between(first, last),
        server=await server.look(ledger.redis),
        retention=settings.retention,
        poll_rate=sum(one.poll_rate for one in settings.at_home),
        hook_rates={hook.name: hook.rate for hook in settings.hooks if hook.rate},
    )


class Look(NamedTuple):
    """The server's running totals at an instant of its own clock."""

    at: float
    predictions: int
    info: Mapping[str, Any]

    def of(self, *names: str) -> float:
        """The sum of those that it tells."""
        return sum(float(self.info.get(name, 0)) for name in names)

    @property
    def cpu(self) -> float:
        """Seconds; of the thread that runs the commands, where it says that."""
        if "used_cpu_user_main_thread" in self.info:
            return self.of("used_cpu_user_main_thread", "used_cpu_sys_main_thread")
        return self.of("used_cpu_user", "used_cpu_sys")

    @property
    def scripts(self) -> float:
        called = (self.info.get(f"cmdstat_{name}") for name in ("evalsha", "eval"))
        return sum(float(one["calls"]) for one in called if one)


def between(first: Look, last: Look) -> OfRedis:
    """A server that began anew meanwhile has done nothing."""
    seconds = max(last.at - first.at, 1e-3)

    def a_second(*names: str) -> float:
        return max(0.0, last.of(*names) - first.of(*names)) / seconds

    told = "eventloop_duration_aof_sum" in last.info
    return OfRedis(
        seconds=seconds,
        cpu=max(0.0, last.cpu - first.cpu) / seconds,
        writing=a_second("eventloop_duration_aof_sum") / 1e6 if told else None,
        commands=a_second("total_commands_processed"),
        scripts=max(0.0, last.scripts - first.scripts) / seconds,
        received=a_second("total_net_input_bytes"),
        sent=a_second("total_net_output_bytes"),
        predictions=last.predictions,
        used=max(0, round(last.of("used_memory") - last.of("used_memory_startup"))),
    )


def rates(now: Sample, before: Sample) -> Rates:
    """Totals that fell began anew: then all of them were added since."""
    seconds = now.at - before.at
    if seconds <= 0:
        return Rates()

    def a_second(*names: str) -> float:
        added = (now.totals.get(name, 0) - before.totals.get(name, 0) for name in names)
        return sum(max(0, n) for n in added) / seconds

    return Rates(seconds, a_second(*_ARRIVING), a_second(*_ENDING), a_second(TOLD), a_second(*RECOVERED))


async def _look(redis: Redis) -> Look:
    with reaching():
        async with redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zcard(keys.INDEX)
            for section in _SECTIONS:
                pipe.info(section)
            (seconds, microseconds), predictions, *sections = await pipe.execute()
    info = {name: value for section in sections for name, value in section.items()}
    return Look(float(seconds) + float(microseconds) / 1e6, predictions, info)
