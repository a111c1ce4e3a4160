"""Hooks that are Redis streams: an event is written in the script that settles its delivery, so once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import keys
from service.hooks.troubles import limit_of
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from service.hooks import Hook
    from service.ledger.delivery import DeliveryRecord
    from service.ledger.scripts import Scripts


class Streams:
    def __init__(self, scripts: Scripts, retention: float) -> None:
        self._scripts = scripts
        self._retention = int(retention)

    async def deliver(self, delivery: DeliveryRecord, hook: Hook, ms: int = 0) -> str | None:
        """Write its event, and that it is delivered. None, or why the stream does not take it.

        Nothing is written when another took the delivery meanwhile. It took `ms` milliseconds so far.
        """
        settled = ("", "", "0", 1, 0, self._retention, ms, "", limit_of(ms), "")
        stream = (keys.STREAM + hook.stream, hook.maxlen)
        said = await self._scripts.run(
            "delivered", delivery.id, delivery.token, "delivered", *settled, *stream
        )
        return said if isinstance(said, str) else None

    async def ping(self, hook: Hook, event_id: str, kind: str, body: str) -> None:
        """Write an event that is no delivery."""
        with reaching():
            await self._scripts.redis.xadd(
                keys.STREAM + hook.stream, {"id": event_id, "type": kind, "body": body}, maxlen=hook.maxlen,
                approximate=False,
            )  # fmt: skip

    async def trim(self, hook: Hook) -> tuple[int, bool]:
        """Take what is past its age and read by all groups: how many entries went, and whether its length
        makes it lose what the slowest group has not read.
        """
        gone, behind = await self._scripts.run("stream", keys.STREAM + hook.stream, hook.max_age, hook.maxlen)
        return int(gone), bool(behind)
