"""What metrics are made of, read off the ledger when somebody asks; nothing has to be looked for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from service import keys, queues
from service.ledger import durability
from service.ledger.connection import reaching
from service.ledger.durability import State
from service.prediction import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger.reading import Reading
    from service.ledger.roles import Alive, Roles
    from service.ledger.scripts import Scripts
    from service.ledger.told import Told


@dataclass(frozen=True, slots=True)
class HookStanding:
    parked: int
    disabled: bool
    failing_seconds: float
    """Since the first failure after its last success; 0 when that was a success."""


@dataclass(frozen=True, slots=True)
class Measured:
    stages: Mapping[str, int]
    oldest: Mapping[str, float]
    """awaited, accepted, working, delivery → seconds that the oldest of them waits beyond its due time."""
    scaling: Mapping[str, Any]
    tally: Mapping[str, int]
    gathered: Mapping[str, int]
    """What processes gathered: counts by name, and buckets of histograms (`metrics/gathering.py`)."""
    hooks: Mapping[str, HookStanding]
    roles: Sequence[Alive]
    jobs: Mapping[str, int]
    """RQ's word for where a job stands → how many there are."""
    review: int
    aside: int
    memory: Mapping[str, int]
    """Of the server, bytes: used, most (0 when there is no limit)."""
    persists: bool
    """The last write of the append-only file succeeded."""
    durable: bool | None
    """Its settings keep what is acknowledged; None where it does not show them."""
    drifts: Sequence[Mapping[str, Any]] = field(default=())
    secrets: Sequence[Mapping[str, Any]] = field(default=())


class Measuring:
    def __init__(self, scripts: Scripts, reading: Reading, roles: Roles, drifts: Told, secrets: Told) -> None:
        self._scripts = scripts
        self._redis = scripts.redis
        self._reading = reading
        self._roles = roles
        self._drifts = drifts
        self._secrets = secrets

    async def add(self, counts: Mapping[str, int]) -> None:
        """What one process gathered. Raises LedgerDown: then it may or may not be written."""
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                for name, n in counts.items():
                    pipe.hincrby(keys.MEASURED, name, n)
                await pipe.execute()

    async def measured(self, hooks: Sequence[str]) -> Measured:
        """Raises LedgerDown."""
        ages, failing = json.loads(await self._scripts.run("measure", *hooks))
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for stage in Stage:
                    pipe.zcard(keys.STAGE + stage)
                pipe.hgetall(keys.TALLY)
                pipe.hgetall(keys.MEASURED)
                pipe.zcard(keys.REVIEW)
                pipe.llen(keys.ASIDE)
                pipe.llen(queues.KEY)
                for key in queues.REGISTRIES.values():
                    pipe.zcard(key)
                pipe.info()
                answers = await pipe.execute()
        stages = dict(zip(map(str, Stage), answers, strict=False))
        tally, gathered, review, aside, *jobs, info = answers[len(Stage) :]
        return Measured(
            stages=stages,
            oldest=ages,
            scaling=await self._reading.scaling(),
            tally={name: int(n) for name, n in tally.items()},
            gathered={name: int(n) for name, n in gathered.items()},
            hooks={name: HookStanding(*found) for name, found in zip(hooks, failing, strict=True)},
            roles=await self._roles.alive(),
            jobs=dict(zip(("queued", *queues.REGISTRIES), jobs, strict=True)),
            review=review,
            aside=aside,
            memory={"used": int(info.get("used_memory", 0)), "most": int(info.get("maxmemory", 0))},
            persists=info.get("aof_last_write_status", "ok") == "ok",
            durable=await self._durable(),
            drifts=await self._drifts.last(),
            secrets=await self._secrets.last(),
        )

    async def _durable(self) -> bool | None:
        try:
            states = {one.state for one in await durability.check(self._redis)}
        except redis_errors.ResponseError:
            return None
        return None if State.WARN in states else State.FAIL not in states
