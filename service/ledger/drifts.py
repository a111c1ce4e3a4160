"""What the last reconciliation of each source found, for `status` and whoever looks later."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from service import keys
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from service.drift import Drift
    from service.ledger.connection import Redis


class Drifts:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep(self, drift: Drift) -> None:
        """In the place of the source's last one."""
        with reaching():
            await self._redis.hset(keys.DRIFT, drift.source, json.dumps(drift.public()))

    async def last(self) -> list[dict[str, Any]]:
        """One report per source, as `Drift.public` made it, by the name of the source."""
        with reaching():
            kept = cast("dict[str, str]", await self._redis.hgetall(keys.DRIFT))
        return [json.loads(text) for _, text in sorted(kept.items())]
