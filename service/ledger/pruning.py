"""What only a retention deletes, files and payloads: what is due, and its predictions given to a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from service import clock, keys
from service.ledger.compacting import restore
from service.ledger.connection import reaching
from service.ledger.records import PredictionRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger.scripts import Scripts

KINDS = ("held", "rejected")
_SETS = {"held": keys.KEPT_HELD, "rejected": keys.KEPT_REJECTED}
_PAGE = 50


@dataclass(frozen=True, slots=True)
class Due:
    files: int
    bytes: int


class Pruning:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._redis = scripts.redis

    async def hand_over(self, kind: str, lives: float, limit: int) -> int:
        """Let workers delete files of that kind that are older than `lives` seconds; of how many predictions.

        At most `limit`, the oldest first; 0 when none is left.
        """
        given, compact = await self._scripts.run("prune", kind, f"{lives:.3f}", limit)
        for ref in compact:
            await restore(self._scripts, ref)
        if compact:
            again, _ = await self._scripts.run("prune", kind, f"{lives:.3f}", len(compact))
            given += again
        return int(given)

    async def drop_payloads(self, lives: float, retention: float, limit: int) -> tuple[int, int]:
        """Let workers drop payloads of what ended more than `lives` seconds ago, about `limit` at once and
        the oldest first: how many it looked at, and how many it gave. `retention` of predictions in seconds.
        """
        looked, given, compact = await self._payloads(lives, retention, limit)
        for ref in compact:
            await restore(self._scripts, ref)
        if compact:
            looked, given, _ = await self._payloads(lives, retention, limit)
        return looked, given

    async def _payloads(self, lives: float, retention: float, limit: int) -> tuple[int, int, list[str]]:
        looked, given, compact = await self._scripts.run(
            "payloads", f"{lives:.3f}", f"{int(retention)}", limit
        )
        return int(looked), int(given), compact

    async def payloads_due(self, lives: float, retention: float, now: float) -> int:
        """At most; some may have been dropped already."""
        with reaching():
            mark = cast("str | None", await self._redis.get(keys.PAYLOADS))
            first = f"({mark}" if mark else "-inf"
            return int(await self._redis.zcount(keys.EXPIRY, first, now + int(retention) - lives))

    async def due(self, kind: str, lives: float, now: float) -> Due:
        """Looks at every prediction that has some."""
        files = size = first = 0
        while True:
            with reaching():
                refs = cast(
                    "list[str]",
                    await self._redis.zrange(
                        _SETS[kind], "-inf", now - lives, byscore=True, offset=first, num=_PAGE
                    ),
                )
            if not refs:
                return Due(files, size)
            with reaching():
                async with self._redis.pipeline(transaction=False) as pipe:
                    for ref in refs:
                        pipe.hgetall(keys.PREDICTION + ref)
                    rows = await pipe.execute()
            for record in map(PredictionRecord.load, rows):
                found = [one for one in record.outputs if is_due(one, kind, lives, now)]
                files += len(found)
                size += sum(one.get("bytes") or 0 for one in found)
            first += len(refs)

    async def records_due(self, now: float) -> int:
        """Predictions that are past their retention."""
        with reaching():
            return int(await self._redis.zcount(keys.EXPIRY, "-inf", now))


def is_due(output: dict[str, object], kind: str, lives: float, now: float) -> bool:
    """An output as the ledger keeps it: is its file there, of that kind, and older than `lives` seconds?"""
    since = clock.parse_rfc3339(output.get(f"{kind}_at"))
    here = output.get("disposition") == kind and bool(output.get("key"))
    return here and since is not None and since + lives <= now


def kept_since(outputs: Sequence[Mapping[str, Any]]) -> dict[str, float | bool]:
    """Since when the oldest file is kept that only a retention deletes; False for none."""
    since: dict[str, list[float]] = {"held": [], "rejected": []}
    for output in outputs:
        at = clock.parse_rfc3339(output.get(f"{output['disposition']}_at"))
        if at is not None and output.get("key") and output["disposition"] in since:
            since[output["disposition"]].append(at)
    return {name: min(instants, default=False) for name, instants in since.items()}
