"""A page of a sorted set whose scores are sequence numbers: each is the exact cursor of what follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from service.errors import InvalidInput
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from service.ledger.connection import Redis


async def below(redis: Redis, index: str, cursor: str | None, limit: int) -> list[tuple[str, str]]:
    """Members with their sequence numbers, highest first. Raises InvalidInput, LedgerDown."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
        raise InvalidInput("cursor", "is not one that a list gave out")
    with reaching():
        rows = await redis.zrevrangebyscore(
            index, f"({cursor}" if cursor else "+inf", "-inf", start=0, num=limit, withscores=True
        )
    return [(member, str(int(score))) for member, score in cast("list[tuple[str, float]]", rows)]
