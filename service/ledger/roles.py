"""Who is alive: every role's process beats, so that `status` and `doctor` can say which is missing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from service import clock, keys
from service.effort import Meter
from service.effort.told import read
from service.ending import end
from service.errors import LedgerDown
from service.late_log import LateLog
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.effort import Effort
    from service.ledger.connection import Redis

log = LateLog("role")

BEAT_EVERY = 5.0
ALIVE_FOR = 15
_NAMED_FOR = 86_400.0
"""Seconds after its last beat that a killed role's name is kept: no two clocks are so far apart."""
CLOCKS_APART = 30.0
"""Seconds between a process' clock and the server's, above which we warn: a signature may be 300 s old."""
_TOLD = ("beat_at", "since", "in_flight", "trouble", "slots", "free_bytes", "effort", "wrote_in", "place")
_TROUBLE_MOST = 300
_SYNCHRONISE = "synchronise the clocks (NTP): genuine callbacks look stale, and hooks refuse our events"


@dataclass(frozen=True, slots=True)
class Said:
    """What a process tells of itself beside that it is alive."""

    in_flight: int | None = None
    """Jobs, of a worker."""
    trouble: str = ""
    """What keeps it from its work, in a sentence."""
    slots: int | None = None
    """Jobs that it may have in flight."""
    free_bytes: int | None = None
    """Of the fuller disk that it stores on; None where that is no disk."""
    effort: Effort | None = None
    """In the last minute; None of a version that does not tell, and at the very beginning."""
    wrote_in: float | None = None
    """Seconds that its last beat took: one write of Redis, with its way to the disk."""
    place: str = ""
    """Where it stores, in a word that all have who share it; "" of a version that does not tell."""


SILENT = Said()


@dataclass(frozen=True, slots=True)
class Alive:
    role: str
    instance: str
    beat_at: float
    since: float | None = None
    """When it began to beat; None of a version that does not tell."""
    said: Said = SILENT


class Roles:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.answered_at: float | None = None
        """When Redis took a beat of this process last."""

    async def keep_beating(
        self, role: str, instance: str, saying: Callable[[], Said] = Said, meter: Meter | None = None
    ) -> None:
        """Until cancelled, through outages, and then leave. What `meter` measures meanwhile is told, too."""
        apart, since, wrote_in = False, clock.now(), None
        meter = meter or Meter()
        looking = asyncio.create_task(meter.keep_looking())
        try:
            while True:
                said, began = replace(saying(), effort=meter.told(), wrote_in=wrote_in), time.monotonic()
                try:
                    ahead = await self.beat(role, instance, since=since, said=said)
                    wrote_in = time.monotonic() - began
                    if (now_apart := abs(ahead) > CLOCKS_APART) and not apart:
                        log.warning("clock.apart", redis_ahead=round(ahead, 1), fix=_SYNCHRONISE)
                    apart, self.answered_at = now_apart, clock.now()
                except LedgerDown as error:
                    log.warning("redis.away", error=str(error))
                await asyncio.sleep(BEAT_EVERY)
        finally:
            await end(looking)
            try:
                await self.leave(role, instance)
            except LedgerDown as error:
                log.warning("redis.away", error=str(error))

    async def beat(
        self, role: str, instance: str, *, since: float | None = None, said: Said = SILENT
    ) -> float:
        """Be alive; returns the seconds by which the server's clock is ahead of ours."""
        name, now = f"{role}:{instance}", clock.now()
        told: dict[Any, Any] = {
            "beat_at": f"{now:.3f}",
            "since": "" if since is None else f"{since:.3f}",
            "trouble": said.trouble[:_TROUBLE_MOST],
            "effort": said.effort.text() if said.effort else "",
            "place": said.place,
            "wrote_in": "" if said.wrote_in is None else f"{said.wrote_in:.4f}",
        } | {
            name: "" if number is None else str(number)
            for name, number in (
                ("in_flight", said.in_flight),
                ("slots", said.slots),
                ("free_bytes", said.free_bytes),
            )
        }
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(keys.ROLE + name, mapping=told)
                pipe.expire(keys.ROLE + name, ALIVE_FOR)
                pipe.zadd(keys.ROLES, {name: now})
                pipe.zremrangebyscore(keys.ROLES, "-inf", now - _NAMED_FOR)
                pipe.time()
                *_, (seconds, microseconds) = await pipe.execute()
        return float(seconds) + float(microseconds) / 1e6 - clock.now()

    async def leave(self, role: str, instance: str) -> None:
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(f"{keys.ROLE}{role}:{instance}")
                pipe.zrem(keys.ROLES, f"{role}:{instance}")
                await pipe.execute()

    async def alive(self) -> list[Alive]:
        """Whose hash is still there: the server's clock decides, and a killed role's name lives longer."""
        with reaching():
            names = cast("list[str]", await self._redis.zrange(keys.ROLES, 0, -1))
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.hmget(keys.ROLE + name, _TOLD)
                told = zip(names, await pipe.execute(), strict=True)
        found = [_named(name, values) for name, values in told if values[0]]
        return sorted(found, key=lambda one: (one.role, one.instance))


def _named(name: str, told: Sequence[str | None]) -> Alive:
    role, _, instance = name.partition(":")
    beat_at, since, in_flight, trouble, slots, free, effort, wrote_in, place = told
    numbers = [int(number) if number else None for number in (in_flight, slots, free)]
    took = float(wrote_in) if wrote_in else None
    said = Said(numbers[0], trouble or "", numbers[1], numbers[2], read(effort), took, place or "")
    return Alive(role, instance, float(beat_at or 0), float(since) if since else None, said)
