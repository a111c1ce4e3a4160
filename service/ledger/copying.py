"""The ledger out to a backup and back in: each prediction as it was at one moment, and what is beside them.

Bulk runs are not in it: to go on with one from where it was would do again what was done since. Jobs are not
in it either: the sweeper rings whatever is due and has none. Neither is what lives for seconds: who leads,
who beats, whose lease runs; nor the counts of two days that pages show; nor the mark of the last
reconciliation, whose absence has the next one look for all that the ledger does not know.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from service import keys
from service.errors import Conflict
from service.ledger import schema
from service.ledger.connection import reaching
from service.prediction import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from service.ledger.roles import Roles
    from service.ledger.scripts import Scripts

Line = dict[str, Any]

AT_ONCE, BYTES = 50, 1 << 19
"""Of predictions, and of what they hold: nobody else is served while one portion is read or written."""
LIVES_LEAST = 60_000
"""Milliseconds. What should be gone by now goes with the first trim, its places in lists along with it."""
_SETS = (
    keys.EXPIRY,
    keys.SETTLED,
    keys.REVIEW,
    keys.LOSS,
    keys.KEPT_HELD,
    keys.KEPT_REJECTED,
    keys.DUE_WORK,
    keys.DUE_POLL,
)
_DELIVERY_SETS = (keys.DELIVERIES, keys.DELIVERIES_WAITING, keys.DELIVERIES_ACTIVE)
"""Both as in `backup.lua`."""
_BESIDE = (
    *(keys.SEQUENCE, keys.TALLY, keys.MARKED, keys.DRIFT, keys.SECRETS, keys.ASIDE, keys.REFUSED),
    *(keys.POLICIES, keys.LOOKS, keys.WORDS, keys.INTENTS, keys.INTENTS_OPEN),
)
_OF_A_LEASE = ("lease_until", "claim", "worker", "pushed")


@dataclass(slots=True)
class Copied:
    predictions: int = 0
    deliveries: int = 0
    unreadable: int = 0
    """Corrupt in the ledger; they are not in the backup."""


class Copying:
    def __init__(self, scripts: Scripts, roles: Roles) -> None:
        self._scripts = scripts
        self._redis = scripts.redis
        self._roles = roles

    async def out(self, now: float, hooks: Iterable[str], copied: Copied) -> AsyncIterator[Line]:
        """All of it, a line for each; counted in `copied`. Raises LedgerDown.

        What was accepted before the first line is asked for is in it. `hooks`: names whose state is kept.
        """
        after, names = "0", set(hooks)
        while portion := await self._scripts.run("backup", after, AT_ONCE, BYTES):
            for row in portion:
                after = row[1]
                if len(row) == len(("ref", "sequence")):
                    copied.unreadable += 1
                    continue
                line = _prediction(row, now)
                if "stage" not in line["fields"]:
                    continue
                copied.predictions += 1
                copied.deliveries += len(line["deliveries"])
                names |= {one["fields"]["hook"] for one in line["deliveries"] if "hook" in one["fields"]}
                yield line
        for key in (*_BESIDE, *(keys.HOOK + name for name in sorted(names))):
            if beside := await self._beside(key, now):
                yield beside
        for key in await self._named(keys.WORDS, keys.WORD) + await self._named(keys.INTENTS, keys.INTENT):
            if beside := await self._beside(key, now):
                yield beside

    async def begin(self, backup: str, version: int) -> None:
        """Raises Conflict unless the ledger is empty, or one that this very backup was being brought into.

        `version` is that of the ledger in the backup; a newer one than ours is a Conflict too.
        """
        if why := schema.newer(version):
            raise Conflict(f"of this backup {why}")
        with reaching():
            begun = await self._redis.get(keys.RESTORING)
            there = await self._redis.exists(keys.SEQUENCE, keys.INDEX)
        if await self._roles.alive():
            raise Conflict("roles are at work on this Redis: stop them, a ledger is restored alone")
        if there and begun != backup:
            raise Conflict(
                "this ledger is not empty, and a restore would mix two: restore into an empty Redis, or "
                "flush this one (`FLUSHALL` as its admin); `catchlight reindex` adds what a ledger lacks"
            )
        with reaching():
            await self._redis.set(keys.RESTORING, backup)

    async def bring(self, lines: Sequence[Line], now: float) -> None:
        """Write lines of `out` again, in order. Again is harmless. Raises LedgerDown."""
        predictions = [json.dumps(_brought(line, now)) for line in lines if "ref" in line]
        if predictions:
            await self._scripts.run("bring", *predictions)
        for line in lines:
            if "key" in line:
                await self._bring_beside(line, now)

    async def end(self, version: int) -> None:
        """What was brought is of that version: from there it goes forward."""
        with reaching():
            await self._redis.set(keys.SCHEMA, version)
        await self._scripts.agree()
        with reaching():
            await self._redis.delete(keys.RESTORING)

    async def _named(self, index: str, prefix: str) -> list[str]:
        with reaching():
            names = cast("list[str]", await self._redis.zrange(index, 0, -1))
        return [prefix + name for name in names]

    async def _beside(self, key: str, now: float) -> Line | None:
        with reaching():
            kind = await self._redis.type(key)
            lives = await self._redis.pttl(key)
            value: Any
            match kind:
                case "string":
                    value = await self._redis.get(key)
                case "hash":
                    value = await self._redis.hgetall(key)
                case "list":
                    value = await self._redis.lrange(key, 0, -1)
                case "zset":
                    value = await self._redis.zrange(key, 0, -1, withscores=True)
                case _:
                    return None
        return {"key": key, "kind": kind, "value": value, "until": _until(lives, now)} if value else None

    async def _bring_beside(self, line: Line, now: float) -> None:
        key, value = line["key"], line["value"]
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(key)
                match line["kind"]:
                    case "string":
                        pipe.set(key, value)
                    case "hash":
                        pipe.hset(key, mapping=value)
                    case "list":
                        pipe.rpush(key, *value)
                    case "zset":
                        pipe.zadd(key, dict(value))
                if lives := _lives(line["until"], now):
                    pipe.pexpire(key, lives)
                await pipe.execute()


def _prediction(row: Sequence[Any], now: float) -> Line:
    ref, sequence, fields, lives, lines, events, scores, deliveries = row
    return {
        "ref": ref,
        "sequence": sequence,
        "fields": _pairs(fields),
        "until": _until(lives, now),
        "lines": lines,
        "events": _pairs(events),
        "sets": _scores(_SETS, scores),
        "deliveries": [
            {
                "id": id_,
                "fields": _pairs(theirs),
                "until": _until(left, now),
                "sets": _scores(_DELIVERY_SETS, places),
            }
            for id_, theirs, left, places in deliveries
        ],
    }


def _brought(line: Line, now: float) -> Line:
    fields, sets = dict(line["fields"]), dict(line["sets"])
    if fields["stage"] == Stage.WORKING:
        # Whose lease it was is gone, and that is no crash of it.
        fields = {name: text for name, text in fields.items() if name not in _OF_A_LEASE}
        fields["stage"] = str(Stage.ACCEPTED)
        sets[keys.DUE_WORK] = f"{now:.3f}"
    own = [name for name in fields if name.startswith("dlv_")]
    return {
        "ref": line["ref"],
        "sequence": line["sequence"],
        "stage": fields["stage"],
        "fields": _flat(fields),
        "lives": _lives(line["until"], now),
        "lines": line["lines"],
        "events": _flat(line["events"]),
        "sets": sets,
        "deliveries": [_brought_delivery(one, now) for one in line["deliveries"]],
        "outbox": [one["id"] for one in line["deliveries"] if one["id"] not in own],
    }


def _brought_delivery(one: Line, now: float) -> Line:
    fields, sets = one["fields"], one["sets"]
    at_work = {keys.DELIVERIES_WAITING, keys.DELIVERIES_ACTIVE} & set(sets)
    parked = fields.get("state") == "pending" and not at_work
    return {
        "id": one["id"],
        "fields": _flat(fields),
        "lives": _lives(one["until"], now),
        "sets": sets,
        **({"parked": fields["hook"]} if parked else {}),
    }


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _flat(fields: dict[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]


def _scores(sets: Sequence[str], scores: Sequence[str | None]) -> dict[str, str]:
    return {key: score for key, score in zip(sets, scores, strict=True) if score is not None}


def _until(lives: int, now: float) -> float | None:
    """The instant at which it goes; None for ever."""
    return now + lives / 1000 if lives >= 0 else None


def _lives(until: float | None, now: float) -> int:
    return 0 if until is None else max(int((until - now) * 1000), LIVES_LEAST)
