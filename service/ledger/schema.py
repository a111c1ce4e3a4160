"""The version of the ledger's layout: read once by every process, and brought forward where it is older.

A step forward is one function. It may run twice and beside a version that does not know it yet, since a
rolling deploy has both at work: it adds what is missing, and never takes away what that one reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from service import keys
from service.late_log import LateLog
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from service.ledger.connection import Redis

log = LateLog("ledger")

VERSION = 2
_AT_ONCE = 500


async def index_intents(redis: Redis) -> None:
    """1 → 2: every intent stands in an index, so that a backup finds it; of the old ones those still open."""
    with reaching():
        first = 0
        while rows := await redis.zrange(keys.INTENTS_OPEN, first, first + _AT_ONCE - 1, withscores=True):
            await redis.zadd(keys.INTENTS, dict(cast("list[tuple[str, float]]", rows)), nx=True)
            first += _AT_ONCE


STEPS: Mapping[int, Callable[[Redis], Awaitable[None]]] = {1: index_intents}
"""By the version that each starts from."""


def newer(found: int) -> str | None:
    """Why we must not touch a ledger of that version, in a sentence; None for one that we know."""
    if found <= VERSION:
        return None
    return (
        f"the ledger is of version {found}, and this Catchlight knows {VERSION} at most: "
        "start the version that wrote it, or a later one"
    )


async def forward(redis: Redis, found: int) -> None:
    """Every step from that version to ours, in order. Raises LedgerDown: then all of them come again."""
    for version in range(found, VERSION):
        log.info("schema.forward", left=version, to=version + 1)
        await STEPS[version](redis)
