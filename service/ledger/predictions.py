"""Predictions in the ledger: accepted, leased, renewed, committed, replayed. Every move is one script."""

from __future__ import annotations

import dataclasses
import time
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from service import plain_json
from service.errors import LedgerDown
from service.late_log import LateLog
from service.ledger import compact
from service.ledger.compacting import restore
from service.ledger.connection import full
from service.ledger.counting import told_of
from service.ledger.pruning import kept_since
from service.ledger.records import PredictionRecord, known, pairs
from service.ledger.runs import NO_TURN
from service.prediction import LEGAL_MOVES, Disposition, Reason, Ref, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.events import Event
    from service.ledger.runs import Turn
    from service.ledger.scripts import Scripts
    from service.prediction import Step

log = LateLog("ledger")


class Outcome(StrEnum):
    """What accepting came to."""

    NEW = "new"
    ADVANCED = "advanced"
    KNOWN = "known"
    STALE = "stale"


_OUTCOMES = frozenset(Outcome)


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the timeline; it is written with the commit, and says when it was made."""

    step: Step
    detail: str
    made_at: float = field(default_factory=time.monotonic)

    @property
    def ago(self) -> float:
        """Seconds since: the ledger's clock is another one, and they need not agree on the time of day."""
        return max(time.monotonic() - self.made_at, 0.0)


@dataclass(frozen=True, slots=True)
class Commit:
    """How a prediction leaves its stage; all of it is written, or none."""

    to: Stage
    reason: Reason | str | None = None
    error: str = ""
    outputs: Sequence[dict[str, Any]] | None = None
    failures: int = 0
    manifest: bool = False
    """Its manifest is written, and holds the payload."""
    payload: Mapping[str, Any] | None = None
    """What the record is to hold instead of what it held, and of its callback; None: that stays."""
    payload_dropped_at: str = ""
    """As RFC 3339, when only its outputs are left of it."""
    due_in: float = 0.0
    """Seconds until the next attempt, when it goes back to accepted."""
    notes: Sequence[Note] = ()
    events: Sequence[Event] = field(default=())

    def argument(self, retention: float, before: Sequence[Mapping[str, Any]] = ()) -> bytes:
        held: bool | None = None
        kept: dict[str, float | bool] | None = None
        counts: Mapping[str, int] = {}
        fields = {"reason": self.reason or "", "error": self.error, "failures": str(self.failures)}
        if self.manifest:
            fields["manifest"] = "1"
        if self.payload is not None:
            fields |= {"payload": plain_json.encoded(self.payload), "callback": ""}
        if self.payload_dropped_at:
            fields["payload_dropped_at"] = self.payload_dropped_at
        if self.outputs is not None:
            fields["outputs"] = plain_json.encoded(self.outputs)
            counts = told_of(before, self.outputs)
            held = any(output["disposition"] == Disposition.HELD for output in self.outputs)
            kept = kept_since(self.outputs)
        return plain_json.encoded(
            {
                "fields": fields,
                "notes": [[note.step, note.detail, note.ago] for note in self.notes],
                "events": [
                    {
                        "id": event.id,
                        "kind": event.kind,
                        "body": event.body,
                        "deliveries": event.deliveries(),
                    }
                    for event in self.events
                ],
                "counts": counts,
                "held": held,
                "kept": kept,
                "due_in": self.due_in,
                "retention": int(retention),
            }
        ).encode(errors="replace")


class Predictions:
    def __init__(self, scripts: Scripts, retention: float) -> None:
        self._scripts = scripts
        self._retention = retention

    async def write(self, encoded: Sequence[bytes]) -> list[Outcome | LedgerDown]:
        """Accept encoded arrivals: one round trip and one fsync for all, durable on return.

        One whose record is corrupt gets an error of its own. Raises LedgerDown for all of them.
        """
        return [_outcome(answer) for answer in await self._scripts.run("accept", len(encoded), *encoded)]

    async def lease(self, ref: Ref, seconds: float, worker: str) -> PredictionRecord | None:
        """The record under a new token, or None when there is nothing to take.

        An unreadable record ends `dead` here, with the reason: it would bring down one worker after another.
        """
        reply = await self._scripts.run("lease", str(ref), seconds, worker, uuid.uuid4().hex)
        if not reply:
            return None
        fields, lines = pairs(reply[0]), reply[1]
        record = PredictionRecord.load(fields)
        if not record.corrupt:
            if compact.is_compact(fields):
                await restore(self._scripts, str(ref))
                return record
            return dataclasses.replace(record, lines=tuple(lines))
        log.error("prediction.unreadable", prediction=str(ref), error=record.corrupt)
        end = Commit(Stage.DEAD, Reason.ATTEMPTS_EXHAUSTED, error=record.corrupt)
        await self.commit(ref, Stage.WORKING, record.token, end)
        return None

    async def postpone(self, ref: Ref, seconds: float, why: str) -> bool:
        """Put off what is accepted without taking it: no lease, no attempt. When many wait, for longer."""
        return bool(await self._scripts.run("postpone", str(ref), f"{seconds:.3f}", why))

    async def renew(self, leases: Iterable[tuple[Ref, str]], seconds: float) -> set[Ref]:
        """Renew (ref, token) pairs; returns those that are no longer ours."""
        held = [part for ref, token in leases for part in (str(ref), token)]
        lost = await self._scripts.run("renew", seconds, *held) if held else ()
        return {Ref.parse(ref) for ref in lost}

    async def commit(
        self,
        ref: Ref,
        left: Stage,
        token: str,
        commit: Commit,
        before: Sequence[Mapping[str, Any]] = (),
    ) -> bool:
        """Compare-and-set on (stage, token). False: somebody else moved it and nothing was written.

        `before`: its outputs until now; what has become of each since is counted.
        Raises ValueError for a move that is not in the table of legal moves.
        """
        if commit.to not in LEGAL_MOVES[left]:
            raise ValueError(f"{ref} may not move {left} → {commit.to}")
        argument = commit.argument(self._retention, before)
        done = await self._scripts.run("commit", str(ref), left, token, commit.to, argument)
        return bool(done)

    async def crashed(self, ref: Ref, token: str) -> bool:
        """Count a crash of a prediction that ran alone, and ring it again. False: it had committed."""
        return bool(await self._scripts.run("crash", str(ref), token))

    async def replay(
        self, ref: Ref, turn: Turn = NO_TURN, *, new_id: bool = False, span: str = ""
    ) -> Stage | str | None:
        """Fetch again. The stage it is in now, or None for an id we do not know; `over` when it had its turn.

        `new_id`: what it tells is a new occasion. `span`: of a trace, 16 hexadecimal digits.
        Raises Conflict for a record that cannot be read.
        """
        arguments = (str(ref), turn.run, turn.number, int(new_id), span)
        while (stage := await self._scripts.run("replay", *arguments)) == "compact":
            await restore(self._scripts, str(ref))
        return known(Stage, stage) if stage else None


def _outcome(answer: str) -> Outcome | LedgerDown:
    if answer in _OUTCOMES:
        return Outcome(answer)
    if answer.startswith("FULL "):
        return full(answer)
    return LedgerDown(f"the ledger cannot take it: {answer}")
