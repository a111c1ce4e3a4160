"""What a round of work comes to, as the ledger is told: an end, another attempt, or as if nothing was."""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING

from service import clock, events
from service.durations import jittered
from service.ledger import Commit, Note
from service.prediction import Reason, Stage, Step
from workers.outputs import Settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger import PredictionRecord
    from workers.outputs import Output
    from workers.workshop import Workshop


def final(
    shop: Workshop,
    record: PredictionRecord,
    end: Settled,
    outputs: Sequence[Output],
    notes: Sequence[Note] = (),
    *,
    error: str = "",
) -> Commit:
    kept = [output.stored() for output in outputs]
    now = finished_at = clock.now()
    if was := record.was:
        end, error, finished_at = Settled(was.stage, was.reason), was.error, was.finished_at
    ended = dataclasses.replace(
        record,
        stage=end.stage,
        reason=end.reason,
        outputs=tuple(kept),
        finished_at=finished_at,
        error=error or None,
    )
    decided = {output.index: output.decision for output in outputs}
    told = events.of_prediction(
        record.ref, record.generation, ended.public(), shop.hooks.values(), now, decided=decided
    )
    return Commit(end.stage, end.reason, error, kept, record.failures, notes=notes, events=told)


def failed_round(shop: Workshop, record: PredictionRecord, outputs: Sequence[Output], error: str) -> Commit:
    schedule = shop.settings.fetch_schedule
    failures = record.failures + 1
    if failures > len(schedule):
        return given_up(shop, record, outputs, Reason.ATTEMPTS_EXHAUSTED, error)
    wait = jittered(schedule[failures - 1], random.random())
    kept = [output.stored() for output in outputs]
    return Commit(Stage.ACCEPTED, error=error, outputs=kept, failures=failures, due_in=wait)


def given_up(
    shop: Workshop, record: PredictionRecord, outputs: Sequence[Output], reason: Reason, error: str = ""
) -> Commit:
    for output in outputs:
        if output.open:
            output.lose(reason)
    # A review that cannot be carried out is no end of the prediction: the output waits for another decision.
    notes = [Note(Step.REVIEWED, f"could not be carried out: {error or reason}")] if record.was else []
    return final(shop, record, Settled(Stage.DEAD, reason), outputs, notes, error=error)


def handed_back(record: PredictionRecord, outputs: Sequence[Output]) -> Commit:
    return Commit(Stage.ACCEPTED, outputs=[output.stored() for output in outputs], failures=record.failures)
