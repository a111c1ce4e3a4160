"""What the ledger tells of hooks: how they stand, how they did hour by hour, what waits; and their tests."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from service import clock, keys
from service.hooks.hours import HOUR, SHOWN, Hour
from service.hooks.standing import Standing, standing
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger.scripts import Scripts

WAITING_MOST = 500
"""Deliveries that are looked at to tell for whom they wait."""
_ASKED_AT_ONCE = 10


class Waiting(NamedTuple):
    by_hook: Mapping[str, int]
    """Deliveries that are due or will be, without those that are parked."""
    complete: bool
    """False: there are more than were looked at."""


class Hooks:
    def __init__(self, scripts: Scripts) -> None:
        self._redis = scripts.redis

    async def standings(self, names: Sequence[str]) -> list[Standing]:
        """In their order."""
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.hgetall(keys.HOOK + name)
                    pipe.scard(keys.DELIVERIES_PARKED + name)
                rows = await pipe.execute()
        return [
            standing(name, held, parked)
            for name, held, parked in zip(names, rows[::2], rows[1::2], strict=True)
        ]

    async def hours(self, names: Sequence[str], now: float, count: int = SHOWN) -> dict[str, list[Hour]]:
        """The last hours of each, oldest first; the last one is the hour of `now`."""
        last = int(now // HOUR)
        numbers = range(last - count + 1, last + 1)
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    for number in numbers:
                        pipe.hgetall(f"{keys.HOOK_HOUR}{number}:{name}")
                rows = iter(cast("list[dict[str, str]]", await pipe.execute()))
        return {name: [Hour.load(number * HOUR, next(rows)) for number in numbers] for name in names}

    async def waiting(self) -> Waiting:
        """What is on its way or has its next attempt before it."""
        found: list[str] = []
        with reaching():
            for index in (keys.DELIVERIES_WAITING, keys.DELIVERIES_ACTIVE):
                found += cast("list[str]", await self._redis.zrange(index, 0, WAITING_MOST))
            async with self._redis.pipeline(transaction=False) as pipe:
                for id_ in found[:WAITING_MOST]:
                    pipe.hget(keys.DELIVERY + id_, "hook")
                hooks = cast("list[str | None]", await pipe.execute())
        return Waiting(Counter(filter(None, hooks)), complete=len(found) <= WAITING_MOST)

    async def ask_test(self, name: str) -> None:
        """The sweeper is to send it a ping."""
        now = clock.now()
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(keys.HOOK_TESTS, name, json.dumps({"asked_at": clock.rfc3339(now)}))
                pipe.zadd(keys.HOOK_TESTS_ASKED, {name: now})
                await pipe.execute()

    async def take_asked_tests(self) -> list[str]:
        """Names of hooks, each given to one caller only."""
        with reaching():
            asked = cast("list[str]", await self._redis.zrange(keys.HOOK_TESTS_ASKED, 0, _ASKED_AT_ONCE - 1))
            return [name for name in asked if await self._redis.zrem(keys.HOOK_TESTS_ASKED, name)]

    async def keep_test(self, name: str, answer: Mapping[str, Any]) -> None:
        """What it answered: `status, taken, error, refused, ms`."""
        told = {**answer, "at": clock.rfc3339(clock.now())}
        with reaching():
            await self._redis.hset(keys.HOOK_TESTS, name, json.dumps(told))

    async def last_test(self, name: str) -> dict[str, Any] | None:
        """The answer with `at`; only `asked_at` while there is none yet."""
        with reaching():
            text = await self._redis.hget(keys.HOOK_TESTS, name)
        return cast("dict[str, Any]", json.loads(text)) if text else None
