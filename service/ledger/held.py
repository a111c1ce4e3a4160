"""The review queue's items, the held outputs that nobody has decided about, and its cursor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.errors import InvalidInput
from service.prediction import TERMINAL, Disposition
from service.review import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.ledger.query import Query
    from service.ledger.records import PredictionRecord

_CURSOR = re.compile(r"(\d{1,15})(?:-(\d{1,6}))?", re.ASCII)
_SHOWN = ("index", "nsfw", "media_type", "bytes", "width", "height", "error", "held_at")


@dataclass(frozen=True, slots=True)
class HeldOutput:
    record: PredictionRecord
    output: dict[str, Any]
    """As the ledger keeps it."""
    nsfw: str
    """A duplicate may have been stricter since it was held."""
    sequence: str
    """Of its prediction in the queue."""

    @property
    def cursor(self) -> str:
        """From which the queue goes on below it."""
        return f"{self.sequence}-{self.output['index']}"

    def public(self) -> dict[str, Any]:
        """No URI: a held file is handed to nobody."""
        of = {"id": self.record.ref.id, "source": self.record.ref.source, "model": self.record.model}
        shown = {name: self.output.get(name) for name in _SHOWN} | {"nsfw": self.nsfw}
        return of | shown | {"metadata": dict(self.record.metadata)}


def outputs(record: PredictionRecord, query: Query, sequence: str) -> Iterator[HeldOutput]:
    """In the order of their index."""
    if not query.matches(record) or query.stage not in (None, record.stage):
        return
    for output in record.outputs:
        if output.get("disposition") != Disposition.HELD or _is_decided(record, output):
            continue
        index: int = output["index"]
        nsfw = record.nsfw[index] if index < len(record.nsfw) else output["nsfw"]
        if query.nsfw in (None, nsfw):
            yield HeldOutput(record, output, nsfw, sequence)


def _is_decided(record: PredictionRecord, output: dict[str, Any]) -> bool:
    """A decision is on its way to a worker. One that no worker could carry out is none, nor is an undo."""
    review = record.reviews.get(output["index"])
    if record.stage in TERMINAL or review is None or review.decision is Decision.UNDO:
        return False
    return review.number > int(output.get("decision", 0))


def after(cursor: str | None) -> tuple[str | None, tuple[str, int]]:
    """What to read below, and the last item that was shown: its sequence number and index.

    A cursor is the sequence number of the last prediction shown, and the index of its last output shown when
    there may be more of it.
    """
    if cursor is None:
        return None, ("", 0)
    if not (match := _CURSOR.fullmatch(cursor)):
        raise InvalidInput("cursor", "is not one that a list gave out")
    sequence, index = int(match[1]), match[2]
    return (str(sequence + 1), (str(sequence), int(index))) if index else (str(sequence), ("", 0))
