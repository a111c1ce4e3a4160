"""Decisions about outputs: which are files, what policy makes of each, how a round of fetching ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from service.moderation import Action
from service.prediction import Disposition, Nsfw, Reason, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger import PredictionRecord
    from service.moderation import Policy

GONE_WAITS = 3
"""403, 404 and 410 are retried over the first three waits: a CDN may know a file a moment late."""

_KEPT = frozenset(
    {Disposition.STORED, Disposition.HELD, Disposition.RELEASED, Disposition.REJECTED, Disposition.SKIPPED}
)


@dataclass(slots=True)
class Output:
    """What is known of one output. `disposition` None: still to be fetched."""

    index: int
    nsfw: Nsfw
    url: str | None = None
    disposition: Disposition | None = None
    key: str | None = None
    uri: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    error: str | None = None
    held_at: str | None = None
    """As RFC 3339; also of what was released since."""
    rejected_at: str | None = None
    """As RFC 3339."""
    opinion: float | None = None
    """What our own model says of the image, 0 to 1; None where nobody asked it, or it could not say."""
    decision: int = 0
    """Number of the person's decision that it follows, 0 for none."""
    gone: int = 0
    """How often the origin said that it is not there."""
    bad: bool = False
    """The last failure was of what came, not of the way to it."""

    def stored(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def load(cls, kept: dict[str, Any]) -> Output:
        """From the ledger; what a newer version added is ignored."""
        fields = {name: value for name, value in kept.items() if name in cls.__dataclass_fields__}
        disposition = fields.get("disposition")
        return cls(
            **fields
            | {
                "nsfw": Nsfw(fields["nsfw"]),
                "disposition": Disposition(disposition) if disposition else None,
            }
        )

    @property
    def open(self) -> bool:
        return self.disposition is None

    def reopen(self) -> None:
        """To be fetched again, with nothing remembered of how that went before."""
        fresh = Output(self.index, self.nsfw, self.url, decision=self.decision)
        for name in fresh.__dataclass_fields__:
            setattr(self, name, getattr(fresh, name))

    def lose(self, error: str) -> None:
        self.disposition, self.error = Disposition.LOST, error


_FIELDS = tuple(Output.__dataclass_fields__)


def file_url(value: object) -> str | None:
    """Of an output that is a file: an http(s) string with a host and no white space, or an object's `url`."""
    if isinstance(value, dict):
        value = value.get("url")
    if not isinstance(value, str) or any(character.isspace() for character in value):
        return None
    try:
        parts = urlsplit(value)
        return value if parts.scheme.lower() in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def plan(record: PredictionRecord, values: Sequence[object]) -> list[Output]:
    """All outputs of a completion: what is settled stays so; a replay opens again what is not kept."""
    before = {kept["index"]: Output.load(kept) for kept in record.outputs}
    outputs = [
        before.get(index) or Output(index, Nsfw.UNKNOWN, file_url(value))
        for index, value in enumerate(values)
    ]
    replaying = record.replaying and record.failures == 0
    for output in outputs:
        output.nsfw = record.nsfw[output.index] if output.index < len(record.nsfw) else Nsfw.UNKNOWN
        if replaying and output.disposition in (Disposition.LOST, Disposition.DROPPED):
            output.reopen()
    return outputs


def judge(output: Output, model: str, policy: Policy) -> Action:
    """What policy does with it; an output that is no file, or that policy drops, is settled here."""
    action = policy.action(model, output.nsfw)
    if output.open and output.url is None:
        output.disposition = Disposition.SKIPPED
    elif output.open and action is Action.DROP:
        output.disposition = Disposition.DROPPED
    return action


def only_fetches(outputs: Sequence[Output], model: str, policy: Policy) -> set[bool]:
    """Where its open files would go, True for held; empty when there is more to do than to fetch them."""
    actions = [judge(output, model, policy) for output in outputs]
    if any(
        output.disposition is Disposition.STORED and action is not Action.RELEASE
        for output, action in zip(outputs, actions, strict=True)
    ):
        # Nobody may wait for room to take back what must not be seen.
        return set()
    return {
        action is not Action.RELEASE for output, action in zip(outputs, actions, strict=True) if output.open
    }


@dataclass(frozen=True, slots=True)
class Settled:
    """The prediction ends here."""

    stage: Stage
    reason: Reason | str | None


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Something is still open: another round after `wait` seconds (before jitter)."""

    wait: float


def settle(outputs: Sequence[Output], failures: int, schedule: Sequence[float]) -> Settled | TryAgain:
    """After a round: `failures` counts the rounds that left something open, this one included.

    Outputs whose tries are used up become lost; n waits allow n + 1 tries.
    """
    for output in outputs:
        if output.open and output.gone > min(GONE_WAITS, len(schedule)):
            output.lose(Reason.OUTPUTS_GONE)
        elif output.open and failures > len(schedule):
            output.lose(Reason.OUTPUTS_BAD if output.bad else Reason.ATTEMPTS_EXHAUSTED)
    if any(output.open for output in outputs):
        return TryAgain(schedule[failures - 1])
    return ending(outputs)


def ending(outputs: Sequence[Output]) -> Settled:
    """Of a completion whose outputs all have their disposition."""
    if not outputs or any(output.disposition in _KEPT | {Disposition.DROPPED} for output in outputs):
        return Settled(Stage.DONE, None)
    errors = {output.error or "" for output in outputs}
    if errors == {Reason.OUTPUTS_GONE}:
        return Settled(Stage.EXPIRED, Reason.OUTPUTS_GONE)
    for reason in (Reason.OUTPUTS_BAD, Reason.ATTEMPTS_EXHAUSTED):
        if reason in errors:
            return Settled(Stage.DEAD, reason)
    return Settled(Stage.DEAD, Reason.OUTPUTS_REFUSED)
