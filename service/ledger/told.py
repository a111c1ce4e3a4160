"""The last that was told of each source: of its reconciliation, and of its secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from service.ledger.connection import reaching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.ledger.connection import Redis


class Told:
    def __init__(self, redis: Redis, key: str) -> None:
        self._redis = redis
        self._key = key

    async def keep(self, report: Mapping[str, Any]) -> None:
        """In the place of the last one of the same `source`."""
        with reaching():
            await self._redis.hset(self._key, report["source"], json.dumps(report))

    async def last(self) -> list[dict[str, Any]]:
        """One report per source, by the name of the source."""
        with reaching():
            kept = cast("dict[str, str]", await self._redis.hgetall(self._key))
        return [json.loads(text) for _, text in sorted(kept.items())]
