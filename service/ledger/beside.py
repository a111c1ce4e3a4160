"""What a page shows beside the rows of a list: what hooks were told of them, and which values words have."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from service import keys
from service.ledger import compact
from service.ledger.connection import reaching
from service.ledger.delivery import DeliveryRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger.reading import Reading
    from service.ledger.scripts import Scripts
    from service.prediction import Ref

_VALUES_MOST = 100


class Beside:
    def __init__(self, scripts: Scripts, reading: Reading) -> None:
        self._redis = scripts.redis
        self._reading = reading

    async def deliveries_of(self, refs: Sequence[Ref]) -> dict[Ref, list[DeliveryRecord]]:
        """Of each prediction, oldest first: three round trips for all of them."""
        told: dict[Ref, list[DeliveryRecord]] = {ref: [] for ref in refs}
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for ref in refs:
                    pipe.smembers(keys.OUTBOX + str(ref))
                boxes = await pipe.execute()
            async with self._redis.pipeline(transaction=False) as pipe:
                # Asked after the boxes: what becomes compact in between is then found here.
                for ref in refs:
                    pipe.hexists(keys.PREDICTION + str(ref), compact.LIVES)
                packed = [ref for ref, is_packed in zip(refs, await pipe.execute(), strict=True) if is_packed]
            async with self._redis.pipeline(transaction=False) as pipe:
                for ref in packed:
                    pipe.hgetall(keys.PREDICTION + str(ref))
                hashes = await pipe.execute()
        for ref, fields in zip(packed, hashes, strict=True):
            told[ref] = _of_compact(fields)
        left = [id_ for ref, box in zip(refs, boxes, strict=True) if not told[ref] for id_ in box]
        for one in await self._reading.deliveries_by_id(left):
            if one.ref in told:
                told[one.ref].append(one)
        return {ref: sorted(of, key=lambda one: (one.created_at or 0, one.id)) for ref, of in told.items()}

    async def values(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Of words that lists are searched by, the values that something has had; a bounded number."""
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    begin = f"{name}:".encode()
                    least, most = b"[" + begin, b"[" + begin + b"\xff"
                    pipe.zrange(keys.WORDS, least, most, bylex=True, offset=0, num=_VALUES_MOST)
                found = cast("list[list[str]]", await pipe.execute())
        return {
            name: [word.removeprefix(f"{name}:") for word in words]
            for name, words in zip(names, found, strict=True)
        }


def _of_compact(fields: Mapping[str, str]) -> list[DeliveryRecord]:
    """Of what cannot be read, none."""
    try:
        return [DeliveryRecord.load(one) for one in compact.restored(fields).deliveries.values()]
    except (ValueError, KeyError):
        return []
