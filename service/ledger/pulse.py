"""Has anything changed? A stamp of the ledger that is cheap to read and differs after whatever is counted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from service import keys
from service.ledger.connection import reaching
from service.prediction import Stage

if TYPE_CHECKING:
    from service.ledger.connection import Redis


class Pulse:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def stamp(self) -> str:
        """Equal while nothing that is counted has moved. Raises LedgerDown."""
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.get(keys.SEQUENCE)
                pipe.hgetall(keys.TALLY)
                pipe.hgetall(keys.HOOK_TESTS)
                for index in (keys.REVIEW, keys.REFUSED, keys.RUNS, keys.DELIVERIES_WAITING, keys.ROLES):
                    pipe.zcard(index)
                for stage in Stage:
                    pipe.zcard(keys.STAGE + stage)
                found = await pipe.execute()
        return hashlib.sha256(repr(found).encode()).hexdigest()
