"""One event for one hook as it comes out of Redis, and what each of its attempts was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service import clock
from service.prediction import Ref

if TYPE_CHECKING:
    from collections.abc import Mapping

# All that a list shows: its attempts stand beside it, a KiB each.
LISTED = (
    "id", "ref", "event_id", "event", "hook", "state", "attempts", "last_status", "next_attempt_at",
    "created_at", "error",
)  # fmt: skip
_FIELD = "try:"


@dataclass(frozen=True, slots=True)
class Attempt:
    at: float
    """When it began, in seconds since the epoch."""
    status: int | None
    """None when no answer came."""
    ms: int
    """Until the answer was read, or until it was clear that none would come."""
    error: str | None = None
    answer: str = ""
    """The first KiB of it, on one line."""
    probe: bool = False
    """Of a hook whose breaker was open: nothing of the schedule was used up by it."""

    @classmethod
    def load(cls, text: str) -> Attempt:
        """From the list that `delivered.lua` writes; what a newer version adds behind it is left out."""
        said = [*json.loads(text), *("",) * 3]
        at, status, ms, error, answer, probe = said[:6]
        return cls(float(at), int(status) or None, int(ms), error or None, answer, bool(probe))

    def public(self) -> dict[str, Any]:
        return {
            "at": clock.rfc3339(self.at),
            "status": self.status,
            "ms": self.ms,
            "error": self.error,
            "answer": self.answer,
            "probe": self.probe,
        }


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One event for one hook."""

    id: str
    ref: Ref
    event_id: str
    event: str
    hook: str
    state: str
    attempts: int = 0
    token: str = ""
    last_status: int | None = None
    next_attempt_at: float | None = None
    created_at: float | None = None
    error: str | None = None
    body: str = ""
    """The event's body; only on a delivery taken for an attempt, as is the next."""
    failing_for: float = 0.0
    """Seconds since its first attempt failed."""
    history: tuple[Attempt, ...] = ()
    """Its last attempts, oldest first; only on a delivery that was read alone."""

    @classmethod
    def load(cls, fields: Mapping[str, str]) -> DeliveryRecord:
        return cls(
            id=fields["id"],
            ref=Ref.parse(fields["ref"]),
            event_id=fields["event_id"],
            event=fields["event"],
            hook=fields["hook"],
            state=fields["state"],
            attempts=int(fields.get("attempts") or 0),
            token=fields.get("token", ""),
            last_status=int(fields["last_status"]) if fields.get("last_status") else None,
            next_attempt_at=_instant(fields, "next_attempt_at"),
            created_at=_instant(fields, "created_at"),
            error=fields.get("error") or None,
            body=fields.get("body", ""),
            failing_for=float(fields.get("failing_for") or 0),
            history=_attempts_of(fields),
        )

    def public(self) -> dict[str, Any]:
        """The contract's delivery object; what tells of a hook is of no prediction."""
        return {
            "id": self.id,
            "event_id": self.event_id,
            "event": self.event,
            "prediction": self.ref.id if self.ref.source else None,
            "source": self.ref.source or None,
            "hook": self.hook,
            "state": self.state,
            "attempts": self.attempts,
            "last_status": self.last_status,
            "next_attempt_at": _rfc3339(self.next_attempt_at),
            "created_at": _rfc3339(self.created_at),
            "error": self.error,
        }

    def whole(self) -> dict[str, Any]:
        """The same with what each attempt was."""
        return self.public() | {"history": [attempt.public() for attempt in self.history]}


def _attempts_of(fields: Mapping[str, str]) -> tuple[Attempt, ...]:
    """Those of a delivery's hash, oldest first."""
    numbered = {
        int(name.removeprefix(_FIELD)): text for name, text in fields.items() if name.startswith(_FIELD)
    }
    return tuple(Attempt.load(numbered[number]) for number in sorted(numbered))


def _instant(fields: Mapping[str, str], name: str) -> float | None:
    return float(fields[name]) if fields.get(name) else None


def _rfc3339(seconds: float | None) -> str | None:
    return None if seconds is None else clock.rfc3339(seconds)
