"""How many there are: of each stage, of what waits, and of what has ever happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from service import keys
from service.ledger.connection import reaching
from service.prediction import Stage

if TYPE_CHECKING:
    from service.ledger.scripts import Scripts


class Amounts:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._redis = scripts.redis

    async def counts(self) -> dict[str, int]:
        """Predictions per stage."""
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for stage in Stage:
                    pipe.zcard(keys.STAGE + stage)
                return dict(zip(map(str, Stage), await pipe.execute(), strict=True))

    async def tally(self) -> dict[str, int]:
        """Running totals since the ledger began."""
        with reaching():
            totals = cast("dict[str, str]", await self._redis.hgetall(keys.TALLY))
        return {name: int(n) for name, n in totals.items()}

    async def scaling(self) -> dict[str, Any]:
        """The contract's scaling object; a backlog of 0 means drained.

        `nearest_deletion_seconds`: until the provider deletes the first outputs of what has waited here for
        longer than a moment; None when nothing has.
        """
        waiting, working, awaited, due, deliveries_due, oldest, nearest = await self._scripts.run("scaling")
        return {
            "backlog": waiting + working + due + deliveries_due,
            "waiting": waiting,
            "working": working,
            "due": due,
            "awaited": awaited,
            "deliveries_due": deliveries_due,
            "oldest_due_seconds": float(oldest),
            "nearest_deletion_seconds": float(nearest) if nearest else None,
        }
