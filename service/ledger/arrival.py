"""What arrives at the door: a provider's report, or no more than an id that we should know."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service import clock, plain_json
from service.prediction import Nsfw, Ref, Step, Verdict, Via

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.ledger.callback_headers import CallbackHeaders
    from service.prediction import Report

_DAY = 86_400
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
    headers: CallbackHeaders | None = None
    """Of the callback that brought it."""

    def encoded(self, now: float) -> bytes:
        """What `accept.lua` reads, in its order: the lengths of all parts, a semicolon, and the parts.

        One argument and not many: a client takes as long over an argument as over a kilobyte of it. Whatever
        a stranger says can be written.
        """
        parts = [
            part if isinstance(part, bytes) else part.encode(errors="replace") for part in self._parts(now)
        ]
        return b"%b;%b" % (",".join(map(str, map(len, parts))).encode(), b"".join(parts))

    def _parts(self, now: float) -> list[str | bytes]:
        said = self.report
        closed = said is not None and said.verdict is not Verdict.PENDING
        which = digest(said.outputs) if said else ""
        created, day = _day(said.created_at if said else None, now)
        return [
            str(self.ref),
            said.verdict if said else "",
            said.status if said else "",
            (said.reason or "") if said else "",
            (said.model if said else "") or self.model,
            "" if created is None else f"{created:.3f}",
            pack(said.nsfw) if said and said.verdict is Verdict.COMPLETED else "",
            self.via,
            (said.text or plain_json.encoded(said.payload)) if said and closed else "",
            plain_json.encoded(self.metadata) if self.metadata else "",
            day,
            said.error if said else "",
            which,
            f"{self.due_in:.3f}",
            self.step,
            self.detail,
            "1" if self.stale else "",
            self.headers.encoded(which) if self.headers and closed else "",
        ]


def _day(created: float | None, now: float) -> tuple[float | None, str]:
    """With the instant that it is the day of, should that be one that can be shown."""
    if created is not None:
        try:
            return created, _date(created // _DAY)
        except (ValueError, OverflowError):
            pass
    return None, _date(now // _DAY)


@functools.lru_cache(64)
def _date(days: float) -> str:
    return clock.rfc3339(days * _DAY)[:10]


def digest(outputs: Sequence[Any]) -> str:
    """What tells two completions apart that name other outputs."""
    return hashlib.sha256(plain_json.encoded(outputs).encode()).hexdigest()[:16]
