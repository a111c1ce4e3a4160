"""What the provider said of an ended prediction, dropped when its retention is over; its outputs stay."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from service import clock
from service.ledger import Commit
from service.prediction import Nsfw
from workers import manifest
from workers.outputs import Output

if TYPE_CHECKING:
    from service.ledger import PredictionRecord
    from service.ledger.decisions import Ending
    from workers.workshop import Workshop


def due(record: PredictionRecord) -> Ending | None:
    """How it had ended, if that is all there is to do: a stricter duplicate comes first, this later."""
    judged = [Nsfw(output["nsfw"]) for output in record.outputs]
    flags = record.nsfw + (Nsfw.UNKNOWN,) * len(judged)
    return record.was if "payload" in record.prune and judged == list(flags[: len(judged)]) else None


async def drop(shop: Workshop, record: PredictionRecord, was: Ending) -> Commit:
    """Rewrite its manifests without it; it ends as it had ended. Raises StorageError."""
    at = clock.rfc3339(clock.now())
    outputs = [Output.load(kept) for kept in record.outputs]
    reduced = dataclasses.replace(record, payload=manifest.reduced(record.payload), payload_dropped_at=at)
    end = Commit(
        was.stage,
        was.reason,
        was.error,
        [output.stored() for output in outputs],
        record.failures,
        manifest=True,
        payload=reduced.payload if record.payload else None,
        payload_dropped_at=at,
    )
    await manifest.write(shop, reduced, outputs, end)
    return end
