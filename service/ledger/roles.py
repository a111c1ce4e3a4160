"""Who is alive: every role's process beats, so that `status` and `doctor` can say which is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service import clock, keys
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from service.ledger.connection import Redis

BEAT_EVERY = 5.0
ALIVE_FOR = 15


@dataclass(frozen=True, slots=True)
class Alive:
    role: str
    instance: str
    beat_at: float


class Roles:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def beat(self, role: str, instance: str) -> None:
        key = f"{keys.ROLE}{role}:{instance}"
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(key, "beat_at", f"{clock.now():.3f}")
                pipe.expire(key, ALIVE_FOR)
                await pipe.execute()

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
