"""Pages of a sorted set whose scores are sequence numbers: each is the exact cursor of what follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from service.errors import InvalidInput
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.ledger.connection import Redis

CLOCKS = 60.0
"""Seconds by which a server's clock may be set without a query missing anything."""
_GONE_MOST = 8
_DIGITS_MOST = 15


def position(cursor: str | None) -> int | None:
    """Raises InvalidInput for what is no cursor of ours."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _DIGITS_MOST):
        raise InvalidInput("cursor", "is not one that a list gave out")
    return int(cursor)


async def below(
    redis: Redis, index: str, before: int | None, limit: int, down_to: int | None = None
) -> list[tuple[str, str]]:
    """Members with their sequence numbers, highest first. Raises LedgerDown."""
    with reaching():
        rows = await redis.zrevrangebyscore(
            index,
            "+inf" if before is None else f"({before}",
            "-inf" if down_to is None else down_to,
            start=0,
            num=limit,
            withscores=True,
        )
    return [(member, str(int(score))) for member, score in cast("list[tuple[str, float]]", rows)]


async def first_after(
    redis: Redis, index: str, instant: float, at: Callable[[str], Awaitable[float | None]]
) -> int | None:
    """The sequence number of the first member that is later than `instant`; None when none is.

    Sequence numbers grow with time, so that it is found by halving. `at`: when a member was made, or None for
    one that is no longer there. O(log n) look-ups.
    """
    with reaching():
        low, high = 0, await redis.zcard(index)
    while low < high:
        middle = (low + high) // 2
        if await _time(redis, index, middle, high, at) > instant:
            high = middle
        else:
            low = middle + 1
    with reaching():
        rows = cast("list[tuple[str, float]]", await redis.zrange(index, low, low, withscores=True))
    return int(rows[0][1]) if rows else None


async def _time(
    redis: Redis, index: str, rank: int, end: int, at: Callable[[str], Awaitable[float | None]]
) -> float:
    """Of the member at a rank, or of the next one that is still there; what is gone was old."""
    with reaching():
        members = cast("list[str]", await redis.zrange(index, rank, min(rank + _GONE_MOST, end) - 1))
    for member in members:
        if (made_at := await at(member)) is not None:
            return made_at
    return 0.0
