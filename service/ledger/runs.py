"""Bulk runs: what was listed, written down before anything is done, and how far it came.

A run takes its members in their order. Its position moves in the script that does the work of one, so that
each is done once, however often a run is stopped and carried on, and by however many.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from service import clock, keys
from service.errors import NotFound
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger.scripts import Scripts

LIVES = 7 * 86_400
"""Seconds that a run can be shown and carried on; as in `prelude.lua`."""
BEATS = 30.0
"""Seconds without a word after which nobody seems to be carrying it out."""
RATE = 20.0
"""Members per second, where nobody says another."""
_BATCH = 1_000


class Kind(StrEnum):
    REPLAY = "replay"
    """Of predictions."""
    RETRY = "retry"
    """Of deliveries."""


class State(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


class Turn(NamedTuple):
    """Of one member in a run: the work is done if it is its turn, which is then over."""

    run: str
    number: int


NO_TURN = Turn("", 0)


class Left(NamedTuple):
    """A member that was not done."""

    member: str
    outcome: Literal["skipped", "failed"]
    why: str


@dataclass(frozen=True, slots=True)
class Order:
    """What a run does to each of its members."""

    kind: Kind
    query: str
    """As it was asked; empty for one that has its members from another."""
    step: Literal["fetch", "deliver"] = "fetch"
    rate: float = RATE
    """Members per second."""
    new_id: bool = False
    again_of: str = ""
    """The run whose failures these are."""


@dataclass(frozen=True, slots=True)
class Run:
    """Instants are seconds since the epoch."""

    id: str
    order: Order
    total: int
    oldest: str | None
    newest: str | None
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    beat_at: float = 0.0
    position: int = 0
    """How many members had their turn."""
    done: int = 0
    skipped: int = 0
    failed: int = 0

    @property
    def seconds(self) -> float:
        """How long all of it takes at its rate."""
        return self.total / self.order.rate

    def state(self, now: float) -> State:
        if self.position >= self.total and self.started_at is not None:
            return State.ENDED
        if self.started_at is None:
            return State.PLANNED
        return State.RUNNING if now - self.beat_at < BEATS else State.INTERRUPTED

    def public(self, now: float) -> dict[str, Any]:
        """As API and command line show it."""
        return {
            "id": self.id,
            "kind": self.order.kind,
            "query": self.order.query,
            "from": self.order.step if self.order.kind is Kind.REPLAY else None,
            "rate": self.order.rate,
            "new_id": self.order.new_id,
            "again_of": self.order.again_of or None,
            "state": self.state(now),
            "created_at": clock.rfc3339(self.created_at),
            "started_at": _rfc3339(self.started_at),
            "ended_at": _rfc3339(self.ended_at),
            "total": self.total,
            "oldest": self.oldest,
            "newest": self.newest,
            "seconds": round(self.seconds, 3),
            "position": self.position,
            "done": self.done,
            "skipped": self.skipped,
            "failed": self.failed,
        }


class Runs:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._redis = scripts.redis

    async def plan(
        self, order: Order, members: Sequence[str], oldest: str | None, newest: str | None, now: float
    ) -> Run:
        """Write down exactly what it will touch; nothing is done yet. It exists when all of it is written."""
        run = Run(f"run_{uuid.uuid4().hex[:12]}", order, len(members), oldest, newest, now)
        fields = {
            "id": run.id,
            "kind": order.kind,
            "query": order.query,
            "step": order.step,
            "rate": repr(order.rate),
            "new_id": "1" if order.new_id else "",
            "again_of": order.again_of,
            "total": str(run.total),
            "oldest": oldest or "",
            "newest": newest or "",
            "created_at": f"{now:.3f}",
            "position": "0",
        }
        with reaching():
            for at in range(0, len(members), _BATCH):
                await self._redis.rpush(keys.RUN_MEMBERS + run.id, *members[at : at + _BATCH])
                await self._redis.expire(keys.RUN_MEMBERS + run.id, LIVES)
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(keys.RUN + run.id, items=[part for pair in fields.items() for part in pair])
                pipe.expire(keys.RUN + run.id, LIVES)
                pipe.zadd(keys.RUNS, {run.id: now})
                pipe.zremrangebyscore(keys.RUNS, "-inf", now - LIVES)
                await pipe.execute()
        return run

    async def get(self, run_id: str) -> Run:
        """Raises NotFound."""
        with reaching():
            fields = cast("dict[str, str]", await self._redis.hgetall(keys.RUN + run_id))
        if "total" not in fields:
            raise NotFound(f"no run {run_id}")
        return _loaded(fields)

    async def latest(self, limit: int) -> list[Run]:
        """Newest first."""
        with reaching():
            ids = cast("list[str]", await self._redis.zrevrangebyscore(keys.RUNS, "+inf", "-inf", 0, limit))
            async with self._redis.pipeline(transaction=False) as pipe:
                for run_id in ids:
                    pipe.hgetall(keys.RUN + run_id)
                rows = cast("list[dict[str, str]]", await pipe.execute())
        return [_loaded(fields) for fields in rows if "total" in fields]

    async def members(self, run_id: str, start: int, count: int) -> list[str]:
        with reaching():
            found = await self._redis.lrange(keys.RUN_MEMBERS + run_id, start, start + count - 1)
        return cast("list[str]", found)

    async def left(self, run_id: str, start: int = 0, end: int = -1) -> list[Left]:
        """Those that had their turn and were not done; some of them by their places, the last included."""
        with reaching():
            lines = cast("list[str]", await self._redis.lrange(keys.RUN_LEFT + run_id, start, end))
        return [Left(*json.loads(line)) for line in lines]

    async def beat(self, run_id: str, now: float) -> None:
        """Somebody carries it out. The first beat starts it."""
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hsetnx(keys.RUN + run_id, "started_at", f"{now:.3f}")
                pipe.hset(keys.RUN + run_id, "beat_at", f"{now:.3f}")
                pipe.expire(keys.RUN + run_id, LIVES)
                pipe.expire(keys.RUN_MEMBERS + run_id, LIVES)
                await pipe.execute()

    async def settle(self, turn: Turn, left: Left) -> None:
        """Its turn is over without anything done."""
        await self._scripts.run("settle", turn.run, turn.number, left.member, left.outcome, left.why)

    async def ask(self, run_id: str, now: float) -> None:
        """The sweeper is to carry it out."""
        with reaching():
            await self._redis.zadd(keys.RUNS_ASKED, {run_id: now})

    async def asked(self, limit: int) -> list[str]:
        """Those that were asked for first."""
        with reaching():
            return cast("list[str]", await self._redis.zrange(keys.RUNS_ASKED, 0, limit - 1))

    async def over(self, run_id: str) -> None:
        """The sweeper need not think of it any more."""
        with reaching():
            await self._redis.zrem(keys.RUNS_ASKED, run_id)


def _loaded(fields: dict[str, str]) -> Run:
    order = Order(
        kind=Kind(fields["kind"]),
        query=fields["query"],
        step="deliver" if fields["step"] == "deliver" else "fetch",
        rate=float(fields["rate"]),
        new_id=fields["new_id"] == "1",
        again_of=fields["again_of"],
    )
    return Run(
        id=fields["id"],
        order=order,
        total=int(fields["total"]),
        oldest=fields["oldest"] or None,
        newest=fields["newest"] or None,
        created_at=float(fields["created_at"]),
        started_at=float(fields["started_at"]) if "started_at" in fields else None,
        ended_at=float(fields["ended_at"]) if "ended_at" in fields else None,
        beat_at=float(fields.get("beat_at", 0)),
        position=int(fields["position"]),
        done=int(fields.get("done", 0)),
        skipped=int(fields.get("skipped", 0)),
        failed=int(fields.get("failed", 0)),
    )


def _rfc3339(seconds: float | None) -> str | None:
    return None if seconds is None else clock.rfc3339(seconds)
