"""The running totals by the minute, for a day: what throughput is drawn from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from service import keys
from service.ledger.connection import reaching
from service.throughput import GATHERED, NAMES, Sample

if TYPE_CHECKING:
    from service.ledger.scripts import Scripts

MINUTES = 24 * 60 + 1
_BEGINS = '{"minute":'
"""As the script writes it."""


class History:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def keep(self) -> bool:
        """The totals as they are, once a minute whoever asks; False when this minute has been kept."""
        return bool(await self._scripts.run("history", MINUTES, len(GATHERED), *GATHERED, *NAMES))

    async def earliest(self) -> Sample | None:
        """The oldest that was kept, of a day ago at most."""
        with reaching():
            kept = await self._scripts.redis.lindex(keys.HISTORY, -1)
        return _sample(str(kept)) if kept else None

    async def last(self, minutes: int, every: int = 1) -> list[Sample]:
        """What was kept in the last so many minutes at most, newest first; before them the totals now.

        `every`: of so many minutes, aligned to the clock, one. A day of all of them takes a while to read.
        """
        with reaching():
            async with self._scripts.redis.pipeline(transaction=False) as pipe:
                pipe.time()
                pipe.hmget(keys.TALLY, NAMES)
                pipe.hmget(keys.MEASURED, GATHERED)
                pipe.lrange(keys.HISTORY, 0, min(minutes, MINUTES) - 1)
                (seconds, microseconds), totals, gathered, kept = await pipe.execute()
        now = Sample(
            float(seconds) + float(microseconds) / 1e6,
            {name: int(n) for name, n in zip(NAMES, totals, strict=True) if n is not None}
            | {name: int(n or 0) for name, n in zip(GATHERED, gathered, strict=True)},
        )
        return [now, *(_sample(text) for text in kept if every == 1 or not _minute(text) % every)]


def _minute(text: str) -> int:
    return int(text[len(_BEGINS) : text.index(",")])


def _sample(text: str) -> Sample:
    fields = json.loads(text)
    at = fields.pop("at")
    del fields["minute"]
    return Sample(at, fields)
