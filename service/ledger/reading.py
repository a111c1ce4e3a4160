"""Reading the ledger: one prediction, pages of them, counts. Never a SCAN, never RQ's registries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from service import keys
from service.drift import Standing
from service.errors import Conflict, NotFound
from service.ledger import compact, held
from service.ledger.amounts import Amounts
from service.ledger.compact import Whole
from service.ledger.connection import reaching
from service.ledger.delivery import LISTED as LISTED_OF_DELIVERY
from service.ledger.delivery import DeliveryRecord
from service.ledger.finding import Finding, hooks_of
from service.ledger.pages import below, position
from service.ledger.query import ALL, EVERY_DELIVERY, fits
from service.ledger.records import PredictionRecord, known, named, shown
from service.ledger.walking import CHUNK
from service.prediction import Ref, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger.held import HeldOutput
    from service.ledger.query import DeliveryQuery, Query
    from service.ledger.scripts import Scripts

_CHUNKS = 40
"""So much of a list is read at most for one page before it stops with a cursor, whatever was found."""

# All that a list shows; a payload may be megabytes.
_LISTED = (
    "source", "id", "stage", "model", "status", "reason", "via", "known_at", "first_at", "created_at",
    "received_at", "finished_at", "attempts", "nsfw", "outputs", "reviews", "metadata", "error",
    "said_error", compact.LIVES,
)  # fmt: skip


class Reading(Amounts):
    def __init__(self, scripts: Scripts) -> None:
        super().__init__(scripts)
        self._finding = Finding(scripts.redis, self.record, self.delivery)

    async def find(self, id_: str, source: str | None, sources: Sequence[str]) -> Ref:
        """The key of an id. Raises NotFound, or Conflict when two sources have it and none is named."""
        candidates = [Ref(source, id_)] if source else [Ref(name, id_) for name in sources]
        with reaching():
            found = [ref for ref in candidates if await self._redis.exists(keys.PREDICTION + str(ref))]
        if len(found) > 1:
            raise Conflict(f"{id_} exists in the sources {', '.join(ref.source for ref in found)}; name one")
        if not found:
            raise NotFound(f"no prediction {id_}")
        return found[0]

    async def record(self, ref: Ref) -> PredictionRecord | None:
        with reaching():
            fields = cast("dict[str, str]", await self._redis.hgetall(keys.PREDICTION + str(ref)))
        return PredictionRecord.load(fields) if fields else None

    async def prediction(self, ref: Ref) -> dict[str, Any] | None:
        """The public object with timeline and deliveries."""
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hgetall(keys.PREDICTION + str(ref))
                pipe.lrange(keys.TIMELINE + str(ref), 0, -1)
                pipe.smembers(keys.OUTBOX + str(ref))
                fields, timeline, outbox = await pipe.execute()
        if not fields:
            return None
        if compact.is_compact(fields):
            whole = _whole(fields)
            timeline = [*whole.lines, *timeline]
            deliveries = [DeliveryRecord.load(one) for one in whole.deliveries.values()]
        else:
            deliveries = await self.deliveries_by_id(list(outbox))
        deliveries.sort(key=lambda delivery: (delivery.created_at or 0, delivery.id))
        return PredictionRecord.load(fields).public([json.loads(line) for line in timeline], deliveries)

    async def timeline(self, record: PredictionRecord) -> list[dict[str, Any]]:
        """Of one that is being worked on, as it is shown."""
        lines: Sequence[bytes | str] = record.lines
        if not lines:
            with reaching():
                lines = await self._redis.lrange(keys.TIMELINE + str(record.ref), 0, -1)
        return shown(map(json.loads, lines))

    async def standings(self, refs: Sequence[Ref]) -> dict[Ref, Standing]:
        """Where those stand that the ledger has."""
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for ref in refs:
                    pipe.hmget(keys.PREDICTION + str(ref), "stage", "via", compact.LIVES)
                rows = dict(zip(refs, await pipe.execute(), strict=True))
        whole = await self._whole_ones([str(ref) for ref, (_, _, lives) in rows.items() if lives])
        return {
            ref: Standing(
                known(Stage, stage), via or _whole(whole.get(str(ref), {})).fields.get("via") or None
            )
            for ref, (stage, via, _) in rows.items()
            if stage
        }

    async def page(
        self,
        query: Query,
        limit: int,
        cursor: str | None,
        sources: Sequence[str] = (),
        chunks_most: int | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Newest first. A cursor is the sequence number down to which all was looked at.

        `sources`: where given, a whole id is looked up, not looked for. `chunks_most`: hundreds to look at.
        """
        if sources and not query.id.endswith(ALL):
            found = [await self.still(query, Ref(source, query.id)) for source in sources]
            return [record.public() for record in found if record is not None], None
        index = keys.STAGE + query.stage if query.stage else keys.INDEX
        items: list[dict[str, Any]] = []
        # Where all is wanted, nothing is read to be left out: a compact record is a text to unpack.
        size = limit if query.takes_all else max(limit, CHUNK)
        walk, before = await self._finding.predictions(query, index, position(cursor))
        chunks = 0
        async for chunk in walk.chunks(before, size):
            if chunks == (chunks_most or _CHUNKS):
                return items, cursor
            for sequence, record in await self._listed(chunk.rows, query):
                cursor = sequence
                if record is not None and query.matches(record):
                    items.append(record.public())
                    if len(items) == limit:
                        return items, cursor
            cursor, chunks = chunk.cursor, chunks + 1
        return items, None

    async def still(self, query: Query, ref: Ref) -> PredictionRecord | None:
        """As lists have it, if the query finds it now."""
        ((_, record),) = await self._listed([(str(ref), "")], query)
        if record is None or query.stage not in (None, record.stage) or not query.matches(record):
            return None
        return record

    async def held(
        self, query: Query, limit: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """What waits for a decision, as `held_outputs`, for the API and the command line."""
        found, following = await self.held_outputs(query, limit, cursor)
        return [one.public() for one in found], following

    async def held_outputs(
        self, query: Query, limit: int, cursor: str | None
    ) -> tuple[list[HeldOutput], str | None]:
        """Held outputs that wait for a decision, newest prediction first. The cursor is `held.after`'s."""
        last, shown = held.after(cursor)
        items: list[HeldOutput] = []
        for _ in range(_CHUNKS):
            chunk = await below(self._redis, keys.REVIEW, position(last), max(limit, CHUNK))
            for sequence, record in await self._listed(chunk, query):
                for item in held.outputs(record, query, sequence) if record is not None else ():
                    if sequence == shown[0] and item.output["index"] <= shown[1]:
                        continue
                    items.append(item)
                    if len(items) == limit:
                        return items, item.cursor
                last = sequence
            if len(chunk) < max(limit, CHUNK):
                return items, None
        return items, last

    async def _listed(
        self, chunk: Sequence[tuple[str, str]], query: Query
    ) -> list[tuple[str, PredictionRecord | None]]:
        """Without those that the hook of the query was not told of."""
        told = None
        if query.hook != ALL:
            told = await hooks_of(self._redis, [ref for ref, _ in chunk])
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for ref, _ in chunk:
                    pipe.hmget(keys.PREDICTION + ref, _LISTED)
                # A key that is no hash is one bad entry, not a broken page.
                rows = await pipe.execute(raise_on_error=False)
        found = [named(values, _LISTED) if isinstance(values, list) else {} for values in rows]
        whole = await self._whole_ones(
            [ref for (ref, _), fields in zip(chunk, found, strict=True) if compact.is_compact(fields)]
        )
        listed = [whole.get(ref, fields) for (ref, _), fields in zip(chunk, found, strict=True)]
        if told is not None:
            for ref, fields in whole.items():
                told[ref] |= {one["hook"] for one in _whole(fields).deliveries.values()}
        # One that cannot be read is still known by its key.
        return [
            (sequence, PredictionRecord.load(at | fields) if "stage" in fields and wanted else None)
            for (ref, sequence), fields in zip(chunk, listed, strict=True)
            for at in [Ref.parse(ref)._asdict()]
            for wanted in [told is None or any(fits(query.hook, hook) for hook in told[ref])]
        ]

    async def _whole_ones(self, refs: Sequence[str]) -> dict[str, dict[str, str]]:
        """The hashes of compact records, which are short."""
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for ref in refs:
                    pipe.hgetall(keys.PREDICTION + ref)
                return dict(zip(refs, await pipe.execute(), strict=True))

    async def deliveries(
        self,
        limit: int,
        cursor: str | None,
        query: DeliveryQuery = EVERY_DELIVERY,
        chunks_most: int | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Newest first, as `page`."""
        if not query.id.endswith(ALL):
            one = await self.delivery(query.id)
            return [one.public()] if one and query.matches(one) else [], None
        items: list[dict[str, Any]] = []
        walk, before = await self._finding.deliveries(query, position(cursor))
        chunks = 0
        async for chunk in walk.chunks(before, limit if query.takes_all else max(limit, CHUNK)):
            if chunks == (chunks_most or _CHUNKS):
                return items, cursor
            found = {one.id: one for one in await self.deliveries_by_id([id_ for id_, _ in chunk.rows])}
            for id_, sequence in chunk.rows:
                cursor = sequence
                if (one := found.get(id_)) and query.matches(one):
                    items.append(one.public())
                    if len(items) == limit:
                        return items, cursor
            cursor, chunks = chunk.cursor, chunks + 1
        return items, None

    async def delivery(self, delivery_id: str) -> DeliveryRecord | None:
        """With what each of its attempts was."""
        found = await self.deliveries_by_id([delivery_id], whole=True)
        return found[0] if found else None

    async def deliveries_of(self, ref: Ref) -> list[str]:
        with reaching():
            if outbox := cast("set[str]", await self._redis.smembers(keys.OUTBOX + str(ref))):
                return sorted(outbox)
            if await self._redis.hexists(keys.PREDICTION + str(ref), compact.LIVES):
                return compact.delivery_ids((await self._whole_ones([str(ref)]))[str(ref)])
            # It may have been restored in between.
            return sorted(cast("set[str]", await self._redis.smembers(keys.OUTBOX + str(ref))))

    async def deliveries_by_id(self, ids: Sequence[str], *, whole: bool = False) -> list[DeliveryRecord]:
        """Those of them that there are."""
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for id_ in ids:
                    if whole:
                        pipe.hgetall(keys.DELIVERY + id_)
                    else:
                        pipe.hmget(keys.DELIVERY + id_, LISTED_OF_DELIVERY)
                answers = await pipe.execute()
        found = answers if whole else [named(values, LISTED_OF_DELIVERY) for values in answers]
        rows: dict[str, Mapping[str, str]] = dict(zip(ids, found, strict=True))
        # Of a delivery of a compact prediction, its own hash says no more than whose it is.
        of = {one["ref"] for one in rows.values() if one and "state" not in one}
        for fields in (await self._whole_ones(list(of))).values():
            rows |= {id_: one for id_, one in _whole(fields).deliveries.items() if id_ in rows}
        return [DeliveryRecord.load(fields) for fields in rows.values() if "state" in fields]


def _whole(fields: dict[str, str]) -> Whole:
    """Of what cannot be read, nothing."""
    try:
        return compact.restored(fields)
    except ValueError:
        return Whole(fields, (), {}, {})
