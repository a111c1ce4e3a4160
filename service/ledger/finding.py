"""Where to walk for a query: from which sequence number down to which, and by the blocks of which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import keys
from service.ledger.connection import reaching
from service.ledger.pages import CLOCKS, first_after
from service.ledger.query import ALL
from service.ledger.walking import Walk, words_like
from service.prediction import Nsfw, Ref, Via

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from service.ledger.connection import Redis
    from service.ledger.delivery import DeliveryRecord
    from service.ledger.query import DeliveryQuery, Query
    from service.ledger.records import PredictionRecord


class Finding:
    def __init__(
        self,
        redis: Redis,
        record: Callable[[Ref], Awaitable[PredictionRecord | None]],
        delivery: Callable[[str], Awaitable[DeliveryRecord | None]],
    ) -> None:
        self._redis = redis
        self._record = record
        self._delivery = delivery

    async def predictions(self, query: Query, index: str, before: int | None) -> tuple[Walk, int | None]:
        """A walk over `index`, and from below which sequence number."""
        words = []
        if query.model != ALL and (like := await words_like(self._redis, "model", query.model)) is not None:
            words.append(like)
        # Nearly everything is clean and came by a callback: blocks would leave out none of it.
        if query.nsfw not in (None, Nsfw.CLEAN):
            words.append([f"{keys.WORD}nsfw:{query.nsfw}"])
        if query.via not in (None, Via.CALLBACK):
            words.append([f"{keys.WORD}via:{query.via}"])
        if query.err != ALL:
            words.append([f"{keys.WORD}err:any"])
        return await self._walk(
            index, keys.INDEX, words, (query.since, query.until), before=before, at=self._heard_at
        )

    async def deliveries(self, query: DeliveryQuery, before: int | None) -> tuple[Walk, int | None]:
        words = []
        if (
            query.hook != ALL
            and (like := await words_like(self._redis, "delivery.hook", query.hook)) is not None
        ):
            words.append(like)
        if query.state == "dead":
            words.append([f"{keys.WORD}delivery.state:dead"])
        if query.err != ALL:
            words.append([f"{keys.WORD}delivery.err:any"])
        times = (query.since, query.until)
        return await self._walk(
            keys.DELIVERIES, keys.DELIVERIES, words, times, before=before, at=self._made_at
        )

    async def _walk(
        self,
        index: str,
        whole: str,
        words: list[list[str]],
        times: tuple[float | None, float | None],
        *,
        before: int | None,
        at: Callable[[str], Awaitable[float | None]],
    ) -> tuple[Walk, int | None]:
        since, until = times
        down_to = 0
        if since is not None and (low := await first_after(self._redis, whole, since - CLOCKS, at)):
            down_to = low
        elif since is not None:
            # Nothing is as new as that; what comes meanwhile is not of this page.
            before = 0
        if until is not None and (high := await first_after(self._redis, whole, until + CLOCKS, at)):
            before = high if before is None else min(before, high)
        return Walk(self._redis, index, words, down_to), before

    async def _heard_at(self, ref: str) -> float | None:
        found = await self._record(Ref.parse(ref))
        return found.heard_at if found else None

    async def _made_at(self, id_: str) -> float | None:
        found = await self._delivery(id_)
        return (found.created_at or 0.0) if found else None


async def hooks_of(redis: Redis, refs: Sequence[str]) -> dict[str, set[str]]:
    """Of each prediction the hooks that it has deliveries for; of a compact one none, they stand in its hash.

    To be asked before the hashes are: what becomes compact in between is then found there.
    """
    hooks: dict[str, set[str]] = {ref: set() for ref in refs}
    with reaching():
        async with redis.pipeline(transaction=False) as pipe:
            for ref in refs:
                pipe.smembers(keys.OUTBOX + ref)
            of = [(ref, id_) for ref, ids in zip(refs, await pipe.execute(), strict=True) for id_ in ids]
        async with redis.pipeline(transaction=False) as pipe:
            for _, id_ in of:
                pipe.hget(keys.DELIVERY + id_, "hook")
            for (ref, _), hook in zip(of, await pipe.execute(), strict=True):
                hooks[ref] |= {hook} if hook else set()
    return hooks
