"""What arrives at the door: a provider's report, or no more than an id that we should know."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service import clock
from service.prediction import Nsfw, Ref, Step, Verdict, Via

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.prediction import Report

_LETTERS = {Nsfw.CLEAN: "c", Nsfw.UNKNOWN: "u", Nsfw.FLAGGED: "f"}
_CLASSES = {letter: nsfw for nsfw, letter in _LETTERS.items()}


def pack(classes: Sequence[Nsfw]) -> str:
    """NSFW classes as one letter each: what the accept script can compare."""
    return "".join(_LETTERS[nsfw] for nsfw in classes)


def unpack(letters: str) -> tuple[Nsfw, ...]:
    """A letter that only a newer version knows is the strictest: flags never get laxer."""
    return tuple(_CLASSES.get(letter, Nsfw.FLAGGED) for letter in letters)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing for the door. Without a report, or with a pending one, the prediction is awaited."""

    ref: Ref
    via: Via
    step: Step
    report: Report | None = None
    detail: str = ""
    due_in: float = 0.0
    """Seconds until the first poll, should it be awaited."""
    model: str = ""
    metadata: Mapping[str, Any] | None = None
    stale: bool = False
    """A genuine callback outside the tolerance: its id is believed, nothing else."""

    def encoded(self, now: float) -> list[bytes]:
        """In the order that `accept.lua` reads them. Whatever a stranger says can be written."""
        return [argument.encode(errors="replace") for argument in self._arguments(now)]

    def _arguments(self, now: float) -> list[str]:
        said = self.report
        closed = said is not None and said.verdict is not Verdict.PENDING
        created = _showable(said.created_at) if said else None
        return [
            str(self.ref),
            said.verdict if said else "",
            said.status if said else "",
            (said.reason or "") if said else "",
            (said.model if said else "") or self.model,
            "" if created is None else f"{created:.3f}",
            pack(said.nsfw) if said and said.verdict is Verdict.COMPLETED else "",
            self.via,
            _json(said.payload) if said and closed else "",
            _json(self.metadata) if self.metadata else "",
            clock.rfc3339(now if created is None else created)[:10],
            said.error if said else "",
            _digest(said.outputs) if said else "",
            f"{self.due_in:.3f}",
            self.step,
            self.detail,
            "1" if self.stale else "",
        ]


def _showable(instant: float | None) -> float | None:
    """With an offset, the first and the last day of the calendar lie outside of it."""
    try:
        return clock.parse_rfc3339(None if instant is None else clock.rfc3339(instant))
    except (ValueError, OverflowError):
        return None


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _digest(outputs: Sequence[Any]) -> str:
    return hashlib.sha256(_json(outputs).encode()).hexdigest()[:16]
