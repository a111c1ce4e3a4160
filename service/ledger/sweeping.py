"""What the sweeper asks of the ledger: ring what is due, one sweeper at a time, and forget what is old."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from service import keys
from service.ledger.connection import reaching
from service.prediction import Ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger.scripts import Scripts

_MARK_LIVES = 14 * 86_400


@dataclass(frozen=True, slots=True)
class Swept:
    rung: int
    """Predictions whose job was due or lost."""
    crashed: int
    """Leases that ran out."""
    redelivered: int
    """Deliveries whose next attempt was due."""
    stepped: float
    """Seconds by which the server's clock was set since the last sweep; all due times moved along."""
    whose: Sequence[tuple[Ref, str]] = ()
    """What crashed, each with the worker that had it."""


@dataclass(frozen=True, slots=True)
class DuePoll:
    ref: Ref
    known_at: float


class Sweeping:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def sweep(self, limit: int, *, reclaim: bool, elapsed: float | None = None) -> Swept:
        """Ring everything due, at most `limit` of each kind. `reclaim=False` leaves expired leases alone.

        `elapsed`: seconds since the last sweep, by a clock that cannot be set; None when that is not known.
        """
        since = "" if elapsed is None else f"{elapsed:.3f}"
        reply = await self._scripts.run("sweep", limit, int(reclaim), since)
        rung, crashed, redelivered, stepped, whose = reply
        died = [(Ref.parse(ref), worker) for ref, worker in zip(whose[::2], whose[1::2], strict=True)]
        return Swept(rung, crashed, redelivered, float(stepped), died)

    async def due_polls(self, limit: int, first: float, growth: float, longest: float) -> list[DuePoll]:
        """Awaited predictions that are due; their next poll is set already, in seconds of growing waits."""
        reply = await self._scripts.run("poll", limit, first, growth, longest)
        return [
            DuePoll(Ref.parse(ref), float(known_at))
            for ref, known_at in zip(reply[::2], reply[1::2], strict=True)
        ]

    async def trim(self, limit: int) -> int:
        return int(await self._scripts.run("trim", limit))

    async def mark(self, source: str) -> str | None:
        """What the last reconciliation of that source has left."""
        with reaching():
            return cast("str | None", await self._scripts.redis.get(keys.RECONCILED + source))

    async def leave_mark(self, source: str, mark: str) -> None:
        with reaching():
            await self._scripts.redis.set(keys.RECONCILED + source, mark, ex=_MARK_LIVES)

    async def lead(self, instance: str, seconds: float) -> bool:
        """Become or stay the one sweeper that acts."""
        redis = self._scripts.redis
        with reaching():
            if await redis.set(keys.SWEEPER, instance, nx=True, px=int(seconds * 1000)):
                return True
            if await redis.get(keys.SWEEPER) != instance:
                return False
            return bool(await redis.pexpire(keys.SWEEPER, int(seconds * 1000)))

    async def abdicate(self, instance: str) -> None:
        with reaching():
            if await self._scripts.redis.get(keys.SWEEPER) == instance:
                await self._scripts.redis.delete(keys.SWEEPER)
