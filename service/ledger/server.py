"""How the Redis server stands: its memory, whether it writes, its clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from service import clock, keys, queues
from service.ledger import durability
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger.connection import Redis
    from service.ledger.durability import Finding

ADMIT_BELOW = 0.8
"""Of its memory: above that share nothing new is taken, and the rest is for working off what is here."""
_SECTIONS = ("server", "memory", "persistence", "replication")


class Server(NamedTuple):
    version: str = ""
    used: int = 0
    """Bytes."""
    most: int = 0
    """Bytes; 0 when there is no limit."""
    unwritten: str = ""
    """What it could not write to its disk the last time that it tried."""
    is_replica: bool = False
    ahead: float = 0.0
    """Seconds by which its clock is later than ours."""
    aside: int = 0
    """Entries that nobody can read, set aside."""
    promises: Sequence[Finding] = ()
    """What it promises about a write that it has acknowledged."""

    @property
    def share(self) -> float:
        """Of its memory, how much is used; 0 without a limit."""
        return self.used / self.most if self.most else 0.0


UNKNOWN = Server()


async def look(redis: Redis) -> Server:
    """Raises LedgerDown."""
    with reaching():
        async with redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.llen(keys.ASIDE)
            for section in _SECTIONS:
                pipe.info(section)
            (seconds, microseconds), aside, *sections = await pipe.execute()
    here = clock.now()
    info: dict[str, Any] = {name: value for section in sections for name, value in section.items()}
    return Server(
        version=str(info.get("valkey_version") or info.get("redis_version", "")),
        used=int(info.get("used_memory", 0)),
        most=int(info.get("maxmemory", 0)),
        unwritten=_unwritten(info),
        is_replica=info.get("role") == "slave",
        ahead=float(seconds) + float(microseconds) / 1e6 - here,
        aside=int(aside),
        promises=await durability.check(redis),
    )


class Jobs(NamedTuple):
    """Of the workers' queue, without RQ's registries: to count in those is to clean them up."""

    queued: int
    aside: Sequence[Mapping[str, Any]]
    """`{job, why, at}` of those that nobody could read, newest first."""
    leader: str | None
    """The sweeper that acts."""


async def jobs(redis: Redis, most: int) -> Jobs:
    """Raises LedgerDown."""
    with reaching():
        async with redis.pipeline(transaction=False) as pipe:
            pipe.llen(queues.KEY)
            pipe.lrange(keys.ASIDE, 0, most - 1)
            pipe.get(keys.SWEEPER)
            queued, aside, leader = await pipe.execute()
    return Jobs(queued, [json.loads(one) for one in aside], leader)


def _unwritten(info: Mapping[str, Any]) -> str:
    said = {"aof_last_write_status": "its log", "rdb_last_bgsave_status": "its snapshot"}
    return " and ".join(what for name, what in said.items() if info.get(name, "ok") != "ok")
