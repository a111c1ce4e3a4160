"""The review queue as one reviewer sees it: what is before them, what comes next, and what looks the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.darkroom.derived import alike
from service.ledger.query import Query
from service.web.dashboard.shelf import item_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger import Ledger
    from service.ledger.held import HeldOutput
    from service.prediction import Ref
    from service.web.dashboard.shelf import Item, Shelf

LOOKED_AHEAD = 100
"""Held outputs among which others are looked for that look the same."""


@dataclass(frozen=True, slots=True)
class Waiting:
    item: Item
    cursor: str
    """From which the queue goes on below it."""
    holder: str | None
    """Who has it before them."""
    why_alike: str = ""
    """In words, when it may be decided together with the one before."""


class Queue:
    def __init__(self, ledger: Ledger, shelf: Shelf) -> None:
        self._ledger = ledger
        self._shelf = shelf

    async def next(self, query: Query, after: str | None, who: str) -> Waiting | None:
        """The first below a cursor that nobody else has; from the top again where there is none."""
        found = await self._page(query, after)
        if free := _free(found, who):
            return free
        top = await self._page(query, None) if after else found
        return _free(top, who) or (top[0] if top else None)

    async def around(self, query: Query, ref: Ref, index: int) -> tuple[Waiting | None, list[Waiting]]:
        """That output, if it waits, and those that come after it, the ones that look the same marked."""
        position = await self._ledger.reviewers.position(ref)
        if position is None:
            return None, await self._page(query, None)
        # The cursor just above it.
        above = f"{position}-{index - 1}" if index else str(int(position) + 1)
        found = await self._page(query, above)
        if not found or (found[0].item.ref, found[0].item.index) != (ref, index):
            return None, found
        # Beside the page, which does not wait for it: the next one will know.
        self._shelf.derived.look_ahead([one.item.original for one in found])
        return found[0], [self._marked(found[0].item, one) for one in found[1:]]

    async def count(self) -> int:
        """Predictions with an output that waits for a decision.

        Of a long queue those that are held, among them the few whose decision is on its way to a worker.
        """
        top, more = await self._ledger.reading.held_outputs(Query(), LOOKED_AHEAD, None)
        return await self._ledger.reviewers.waiting() if more else len({one.record.ref for one in top})

    async def _page(self, query: Query, after: str | None) -> list[Waiting]:
        outputs, _ = await self._ledger.reading.held_outputs(query, LOOKED_AHEAD + 1, after)
        found = [(item, one) for one in outputs if (item := _item(one)) is not None]
        holders = await self._ledger.reviewers.holders([(item.ref, item.index) for item, _ in found])
        return [Waiting(item, one.cursor, holder) for (item, one), holder in zip(found, holders, strict=True)]

    def _marked(self, item: Item, other: Waiting) -> Waiting:
        derived = self._shelf.derived
        why = ""
        if other.item.ref == item.ref:
            why = "the same prediction"
        elif other.item.original.sha256 == item.original.sha256:
            why = "the same file"
        elif alike(derived.known_likeness(item.original), derived.known_likeness(other.item.original)):
            why = "looks the same"
        return Waiting(other.item, other.cursor, other.holder, why)


def _item(one: HeldOutput) -> Item | None:
    return item_of(one.record, one.output)


def _free(found: Sequence[Waiting], who: str) -> Waiting | None:
    return next((one for one in found if one.holder in (None, who)), None)
