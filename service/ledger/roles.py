"""Who is alive: every role's process beats, so that `status` and `doctor` can say which is missing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from service import clock, keys
from service.errors import LedgerDown
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from service.ledger.connection import Redis

log = structlog.get_logger("role")

BEAT_EVERY = 5.0
ALIVE_FOR = 15
CLOCKS_APART = 30.0
"""Seconds between a process' clock and the server's, above which we warn: a signature may be 300 s old."""
_SYNCHRONISE = "synchronise the clocks (NTP): genuine callbacks look stale, and hooks refuse our events"


@dataclass(frozen=True, slots=True)
class Alive:
    role: str
    instance: str
    beat_at: float


class Roles:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep_beating(self, role: str, instance: str) -> None:
        """Until cancelled, through outages, and then leave."""
        apart = False
        try:
            while True:
                try:
                    ahead = await self.beat(role, instance)
                    if (now_apart := abs(ahead) > CLOCKS_APART) and not apart:
                        log.warning("clock.apart", redis_ahead=round(ahead, 1), fix=_SYNCHRONISE)
                    apart = now_apart
                except LedgerDown as error:
                    log.warning("redis.away", error=str(error))
                await asyncio.sleep(BEAT_EVERY)
        finally:
            try:
                await self.leave(role, instance)
            except LedgerDown as error:
                log.warning("redis.away", error=str(error))

    async def beat(self, role: str, instance: str) -> float:
        """Be alive; returns the seconds by which the server's clock is ahead of ours."""
        key = f"{keys.ROLE}{role}:{instance}"
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(key, "beat_at", f"{clock.now():.3f}")
                pipe.expire(key, ALIVE_FOR)
                pipe.time()
                *_, (seconds, microseconds) = await pipe.execute()
        return float(seconds) + float(microseconds) / 1e6 - clock.now()

    async def leave(self, role: str, instance: str) -> None:
        with reaching():
            await self._redis.delete(f"{keys.ROLE}{role}:{instance}")

    async def alive(self) -> list[Alive]:
        """A SCAN: for `status` and `doctor` only, never on a request's path."""
        found = []
        with reaching():
            async for key in self._redis.scan_iter(match=keys.ROLE + "*", count=1000):
                role, _, instance = key.removeprefix(keys.ROLE).partition(":")
                beat_at = await self._redis.hget(key, "beat_at")
                found.append(Alive(role, instance, float(beat_at or 0)))
        return sorted(found, key=lambda one: (one.role, one.instance))
