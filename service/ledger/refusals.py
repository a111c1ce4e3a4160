"""Callbacks that were turned away: how many for each reason, and the last thousand of them.

Of a flood the list is a sample; the totals count all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from service import clock, keys
from service.hooks.hours import HOUR, SHOWN
from service.ledger.connection import reaching
from service.ledger.pages import below, position
from service.ledger.records import known
from service.refusals import RefusedFor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger.scripts import Scripts

KEPT = 1000
LIVES = 30 * 86_400
"""Seconds since the last one."""
_AT_ONCE = 100
SOURCE_MOST = 64
WHY_MOST = 200
WEBHOOK_ID_MOST = 64
_TOTAL = "refused_"


@dataclass(frozen=True, slots=True)
class RefusedCallback:
    """What may be known of it: nothing of its body, its signature or its query."""

    at: float
    source: str
    """The end of the path that it came to, whatever a stranger wrote there."""
    reason: RefusedFor | str
    """A plain string when only a newer version knows it."""
    why: str
    address: str | None
    """Of the peer; behind a proxy that is the proxy."""
    size: int | None
    """Bytes of the body that had come, or that were announced when none was read."""
    webhook_id: str | None
    """As it claims; None unless well-formed."""

    def encoded(self) -> str:
        return json.dumps(
            {
                "at": round(self.at, 3),
                "source": _printable(self.source, SOURCE_MOST),
                "reason": self.reason,
                "why": _printable(self.why, WHY_MOST),
                "address": self.address,
                "size": self.size,
                "webhook_id": self.webhook_id and _printable(self.webhook_id, WEBHOOK_ID_MOST),
            }
        )

    def public(self) -> dict[str, Any]:
        return {
            "at": clock.rfc3339(self.at),
            "source": self.source,
            "reason": self.reason,
            "why": self.why,
            "address": self.address,
            "bytes": self.size,
            "webhook_id": self.webhook_id,
        }


@dataclass(frozen=True, slots=True)
class Batch:
    """What one process has turned away in a while; written once, however often it is sent."""

    process: str
    number: int
    """Another than that of the batch before."""
    counts: Mapping[RefusedFor | str, int]
    sample: Sequence[RefusedCallback]
    """Oldest first."""


class Refusals:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._redis = scripts.redis

    async def write(self, batch: Batch) -> None:
        """Raises LedgerDown: then it may or may not be written, and the same batch is to be sent again."""
        sample = [one.encoded() for one in batch.sample]
        counts = json.dumps(dict(batch.counts))
        await self._scripts.run("refuse", batch.process, batch.number, KEPT, LIVES, counts, *sample)

    async def listed(self, limit: int, cursor: str | None) -> dict[str, Any]:
        """As the API shows them: `items`, newest first, `next`, and `totals`, reason → how many ever were."""
        items, following = await self.page(limit, cursor)
        return {"items": [one.public() for one in items], "next": following, "totals": await self.totals()}

    async def page(self, limit: int, cursor: str | None) -> tuple[list[RefusedCallback], str | None]:
        """Newest first, with the cursor of the next page. Raises InvalidInput, LedgerDown."""
        rows = await below(self._redis, keys.REFUSED, position(cursor), limit)
        return [_decoded(member) for member, _ in rows], rows[-1][1] if len(rows) == limit else None

    async def older(self, instant: float) -> int:
        """How many of the list came before that instant."""
        with reaching():
            members = cast("list[str]", await self._redis.zrange(keys.REFUSED, 0, -1))
        return sum(_decoded(member).at < instant for member in members)

    async def forget(self, instant: float, limit: int = _AT_ONCE) -> int:
        """Of the oldest `limit` those that came before that instant; how many went. The totals stay."""
        with reaching():
            oldest = cast("list[str]", await self._redis.zrange(keys.REFUSED, 0, limit - 1))
            gone = [member for member in oldest if _decoded(member).at < instant]
            return int(await self._redis.zrem(keys.REFUSED, *gone)) if gone else 0

    async def totals(self) -> dict[str, int]:
        with reaching():
            tally = cast("dict[str, str]", await self._redis.hgetall(keys.TALLY))
        return {
            name.removeprefix(_TOTAL): int(n) for name, n in sorted(tally.items()) if name.startswith(_TOTAL)
        }

    async def hours(self, now: float, count: int = SHOWN) -> list[tuple[float, dict[str, int]]]:
        """The beginning of each of the last hours, and reason → how many came in it; oldest first."""
        last = int(now // HOUR)
        numbers = range(last - count + 1, last + 1)
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for number in numbers:
                    pipe.hgetall(f"{keys.REFUSED_HOUR}{number}")
                rows = cast("list[dict[str, str]]", await pipe.execute())
        return [
            (float(number * HOUR), {reason: int(n) for reason, n in row.items()})
            for number, row in zip(numbers, rows, strict=True)
        ]


def _decoded(member: str) -> RefusedCallback:
    # A number stands in front: two that are alike are two.
    fields = json.loads(member.partition(" ")[2])
    reason = known(RefusedFor, fields.pop("reason"))
    names = ("at", "source", "why", "address", "size", "webhook_id")
    return RefusedCallback(reason=reason, **{name: fields[name] for name in names})


def _printable(text: str, most: int) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:most])[:most]
