"""Who is looking at which held output, so that two do not decide about the same; and who has seen one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from service import clock, keys
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger.scripts import Scripts
    from service.prediction import Ref

    Place = tuple[Ref, int]

LEASE = 60
"""Seconds that an output stays with a reviewer whose page says nothing any more."""
_LOOKS_MOST = 500
_LOOKS_LIVE = 30 * 86_400


class Reviewers:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._redis = scripts.redis

    async def take(self, ref: Ref, index: int, who: str) -> str:
        """Whose it is from now on: `who`, or somebody else who has it still."""
        return str(await self._scripts.run("reviewer", f"{ref}:{index}", who, LEASE))

    async def holders(self, places: Sequence[Place]) -> list[str | None]:
        """In the order of the places."""
        if not places:
            return []
        with reaching():
            found = await self._redis.mget([f"{keys.REVIEWER}{ref}:{index}" for ref, index in places])
        return cast("list[str | None]", found)

    async def leave(self, places: Sequence[Place]) -> None:
        """They are decided about: nobody has them any more."""
        with reaching():
            await self._redis.delete(*(f"{keys.REVIEWER}{ref}:{index}" for ref, index in places))

    async def saw(self, ref: Ref, index: int, who: str) -> None:
        """Write down that somebody had a held output revealed."""
        line = {"at": clock.now(), "by": who, "source": ref.source, "id": ref.id, "index": index}
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.lpush(keys.LOOKS, json.dumps(line))
                pipe.ltrim(keys.LOOKS, 0, _LOOKS_MOST - 1)
                pipe.expire(keys.LOOKS, _LOOKS_LIVE)
                await pipe.execute()

    async def looks(self) -> list[dict[str, Any]]:
        """The last ones, newest first: `at`, `by`, `source`, `id` and `index`."""
        with reaching():
            lines = await self._redis.lrange(keys.LOOKS, 0, -1)
        return [json.loads(line) for line in lines]

    async def position(self, ref: Ref) -> str | None:
        """The sequence number of a prediction that has an output held; None for any other."""
        with reaching():
            score = await self._redis.zscore(keys.REVIEW, str(ref))
        return None if score is None else str(int(score))

    async def waiting(self) -> int:
        """Predictions that have ended with an output held."""
        with reaching():
            return int(await self._redis.zcard(keys.REVIEW))
