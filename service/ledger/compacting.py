"""Ended predictions put into their compact form, and back: only what is whole can go to work again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from service import keys
from service.errors import Conflict
from service.ledger import compact
from service.ledger.compact import Whole
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger.scripts import Scripts

_TRIES = 20


class Compacting:
    def __init__(self, scripts: Scripts, retention: float) -> None:
        self._scripts = scripts
        self._redis = scripts.redis
        self._lives = int(retention) + 86_400

    async def compact(self, after: float, limit: int) -> tuple[int, int]:
        """Those that ended `after` seconds ago or earlier, at most `limit`: how many it looked at, and how
        many are compact now. One whose deliveries have not ended yet comes again later.
        """
        refs = await self._scripts.run("settled", f"{after:.3f}", limit)
        if not refs:
            return 0, 0
        ready, never = [], []
        for ref, whole in await self._read(refs):
            try:
                if argument := _argument(ref, whole):
                    ready.append(argument)
            except ValueError:
                never.append(ref)
        if never:
            with reaching():
                await self._redis.zrem(keys.SETTLED, *never)
        done = int(await self._scripts.run("compact", self._lives, *ready)) if ready else 0
        return len(refs), done

    async def _read(self, refs: Sequence[str]) -> list[tuple[str, Whole]]:
        with reaching():
            # No transaction: a full server would refuse one, although it only reads. The lines come first, so
            # that whatever happens while the rest is read, or later, is seen by the script as one line more.
            async with self._redis.pipeline(transaction=False) as pipe:
                for ref in refs:
                    pipe.lrange(keys.TIMELINE + ref, 0, -1)
                    pipe.hgetall(keys.PREDICTION + ref)
                    pipe.hgetall(keys.EVENTS + ref)
                    pipe.smembers(keys.OUTBOX + ref)
                # A key of another type is one bad entry, not a broken batch.
                answers = await pipe.execute(raise_on_error=False)
            rows = [
                (ref, *four)
                for ref, *four in zip(refs, *(answers[n::4] for n in range(4)), strict=True)
                if not any(isinstance(answer, Exception) for answer in four)
            ]
            async with self._redis.pipeline(transaction=False) as pipe:
                for *_, outbox in rows:
                    for id_ in outbox:
                        pipe.hgetall(keys.DELIVERY + id_)
                records = iter(await pipe.execute(raise_on_error=False))
        return [
            (ref, Whole(fields, lines, events, {id_: next(records) for id_ in outbox}))
            for ref, lines, fields, events, outbox in rows
        ]


def _argument(ref: str, whole: Whole) -> str | None:
    """For `compact.lua`; None for what is not ready yet. Raises ValueError for what stays as it is."""
    if not all(map(_ended, whole.deliveries.values())) or not whole.lines or compact.is_compact(whole.fields):
        return None
    told: dict[str, Any] = {
        "ref": ref,
        "seen": {
            "stage": whole.fields.get("stage"),
            "token": whole.fields.get("token"),
            "lines": len(whole.lines),
            "last": whole.lines[-1],
        },
        "deliveries": {id_: one.get("token", "") for id_, one in whole.deliveries.items()},
        "fields": _flat(compact.compacted(whole)),
    }
    return json.dumps(told, ensure_ascii=False)


def _ended(delivery: object) -> bool:
    return isinstance(delivery, dict) and delivery.get("state") in ("delivered", "dead")


async def restore(scripts: Scripts, ref: str) -> None:
    """Whatever it was: it is not compact afterwards. Raises Conflict for one that cannot be read."""
    for _ in range(_TRIES):
        with reaching():
            fields: dict[str, str] = await scripts.redis.hgetall(keys.PREDICTION + ref)  # type: ignore[assignment]  # decoded
        if not compact.is_compact(fields):
            return
        try:
            whole = compact.restored(fields)
        except ValueError as error:
            raise Conflict(f"the ledger's record of {ref} cannot be read: {error}") from error
        seen = {name: fields.get(name, "") for name in ("stage", "generation", "z0")}
        what = {
            "seen": _flat(seen),
            "gone": sorted(compact.of_the_form(fields)),
            "fields": whole.fields,
            "lines": whole.lines,
            "events": whole.events,
            "deliveries": {id_: _flat(one) for id_, one in whole.deliveries.items()},
        }
        if await scripts.run("restore", ref, json.dumps(what, ensure_ascii=False)):
            return


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]
