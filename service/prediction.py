"""The words of a prediction: stages and their moves, dispositions, reasons, and what a provider reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Stage(StrEnum):
    """Where a prediction stands with us; the provider's own word is its `status`."""

    AWAITED = "awaited"
    ACCEPTED = "accepted"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    DEAD = "dead"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({Stage.DONE, Stage.FAILED, Stage.EXPIRED, Stage.DEAD})

LEGAL_MOVES: dict[Stage, frozenset[Stage]] = {
    # An awaited prediction ends without a completion only by its deadline.
    Stage.AWAITED: frozenset({Stage.ACCEPTED, Stage.EXPIRED}),
    Stage.ACCEPTED: frozenset({Stage.WORKING}),
    # Back to accepted: a retry, a crash, a hand-back at SIGTERM, or a completion that supersedes a failure.
    Stage.WORKING: frozenset({Stage.ACCEPTED}) | TERMINAL,
    # Back to work: a replay, a review, a late completion, or a duplicate with a stricter NSFW flag.
    Stage.DONE: frozenset({Stage.ACCEPTED}),
    Stage.FAILED: frozenset({Stage.ACCEPTED, Stage.AWAITED}),
    Stage.EXPIRED: frozenset({Stage.ACCEPTED, Stage.AWAITED}),
    Stage.DEAD: frozenset({Stage.ACCEPTED, Stage.AWAITED}),
}


class Disposition(StrEnum):
    """What became of one output."""

    STORED = "stored"
    HELD = "held"
    RELEASED = "released"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    DROPPED = "dropped"
    LOST = "lost"


class Nsfw(StrEnum):
    CLEAN = "clean"
    UNKNOWN = "unknown"
    FLAGGED = "flagged"

    @property
    def strictness(self) -> int:
        return list(Nsfw).index(self)


class Via(StrEnum):
    """How a completion came to us."""

    CALLBACK = "callback"
    POLL = "poll"
    RECONCILE = "reconcile"
    TRACK = "track"
    SUBMIT = "submit"
    REPLAY = "replay"


class Reason(StrEnum):
    """Why a prediction ended otherwise than done."""

    MODERATION = "moderation"
    PROVIDER_FAILED = "provider_failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    DELETED = "deleted"
    OUTPUTS_GONE = "outputs_gone"
    OUTPUTS_REFUSED = "outputs_refused"
    OUTPUTS_BAD = "outputs_bad"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    CRASHES_EXHAUSTED = "crashes_exhausted"
    DEADLINE = "deadline"
    UNKNOWN_TO_PROVIDER = "unknown_to_provider"


class Step(StrEnum):
    """Lines of a prediction's timeline."""

    SUBMITTED = "submitted"
    TRACKED = "tracked"
    CALLED_BACK = "called_back"
    POLLED = "polled"
    RECONCILED = "reconciled"
    ACCEPTED = "accepted"
    LEASED = "leased"
    FETCHED = "fetched"
    JUDGED = "judged"
    STORED = "stored"
    HELD = "held"
    COMMITTED = "committed"
    EVENT = "event"
    DELIVERED = "delivered"
    REPLAYED = "replayed"
    CRASHED = "crashed"
    CONTRADICTED = "contradicted"
    REVIEWED = "reviewed"
    CONFLICT = "conflict"


class Ref(NamedTuple):
    """The ledger's key of a prediction: two sources may use one id."""

    source: str
    id: str

    def __str__(self) -> str:
        return f"{self.source}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Ref:
        """The inverse of `str(ref)`; neither part can hold a colon."""
        source, _, id_ = text.partition(":")
        return cls(source, id_)


class Verdict(StrEnum):
    """What a provider's status means to us."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider said of one prediction at one moment: a callback and a poll make the same thing."""

    id: str
    status: str
    """The provider's own word."""
    verdict: Verdict
    model: str = ""
    reason: Reason | None = None
    """Why it failed; None unless the verdict is FAILED."""
    error: str = ""
    created_at: float | None = None
    """Seconds since the epoch, None when absent or unreadable."""
    outputs: tuple[Any, ...] = ()
    nsfw: tuple[Nsfw, ...] = ()
    """One class per output, judged fail-closed."""
    payload: dict[str, Any] = field(default_factory=dict)
    """What the provider said, unknown fields included, without inline media in `input`."""
    text: bytes = field(default=b"", compare=False, repr=False)
    """The payload as it was sent, on one line; empty when it is to be encoded anew."""
