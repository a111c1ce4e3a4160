"""Records as they come out of Redis, and the public objects that the API, the CLI and the events show."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from service import clock
from service.ledger import callback_headers, compact, decisions
from service.ledger.arrival import unpack
from service.prediction import Reason, Ref, Stage, Verdict, Via

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from enum import StrEnum

    from service.ledger.callback_headers import CallbackHeaders
    from service.ledger.decisions import Ending
    from service.ledger.delivery import DeliveryRecord
    from service.prediction import Nsfw
    from service.review import Review

    Word = TypeVar("Word", bound=StrEnum)

T = TypeVar("T")

_SPAN_DIGITS = 16
_ANEW = "n"

PUBLIC_OUTPUT = (
    "index",
    "disposition",
    "nsfw",
    "uri",
    "sha256",
    "bytes",
    "media_type",
    "width",
    "height",
    "error",
)


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """One prediction as the ledger holds it. Instants are seconds since the epoch."""

    ref: Ref
    stage: Stage | str
    """A plain string when only a newer version knows it."""
    model: str = ""
    status: str = ""
    verdict: Verdict | None = None
    reason: str | None = None
    said_reason: Reason | None = None
    """Why the provider says it failed."""
    said_error: str = ""
    via: str | None = None
    known_at: float = 0.0
    first_at: float | None = None
    created_at: float | None = None
    received_at: float | None = None
    finished_at: float | None = None
    day: str = ""
    sequence: int = 0
    """Its place in the lists."""
    digest: str = ""
    """Of the outputs that the provider named."""
    attempts: int = 0
    token: str = ""
    crashes: int = 0
    """How often the worker died that had it, whoever's fault that was."""
    crashes_alone: int = 0
    """How often it brought down a process that it had to itself."""
    alone: bool = False
    """Was in flight in two crashes: must run in a process of its own."""
    generation: int = 0
    failures: int = 0
    """Rounds of fetching that left something to try again."""
    nsfw: tuple[Nsfw, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)
    """Empty when it stands in the manifest alone, some time after the end."""
    callback: CallbackHeaders | None = None
    """The headers that the payload came with, when it came by callback; they go with it."""
    payload_dropped_at: str = ""
    """As RFC 3339, when only the outputs are left of the payload."""
    outputs: tuple[dict[str, Any], ...] = ()
    """What became of each output so far, private fields included."""
    reviews: Mapping[int, Review] = field(default_factory=dict)
    """The last decision about each output that a person has decided about."""
    was: Ending | None = None
    """Only while a review is being carried out."""
    replay_span: int = 0
    """Of the replay that it is under, when that has a trace."""
    tells_anew: bool = False
    """That replay gives its events new ids."""
    prune: Mapping[str, Any] = field(default_factory=dict)
    """`held`, `rejected` or `payload` → seconds, only while what is older is to be deleted."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    """Of its timeline, as they were when it was leased; where it was not, or was compact, none."""
    error: str | None = None
    corrupt: str = ""
    """Which fields cannot be read, when there are any: it can be shown, and nothing else."""

    @property
    def heard_at(self) -> float:
        """When the ledger first knew its id: the order of all lists. `known_at` begins anew with a replay."""
        return self.first_at or self.known_at

    @property
    def replaying(self) -> bool:
        """A review of what was once replayed replays nothing."""
        return self.via == Via.REPLAY and self.was is None

    @classmethod
    def load(cls, fields: Mapping[str, str]) -> PredictionRecord:
        """From the hash, compact or not.

        Fields that a newer version wrote are ignored, unreadable ones are named.
        """
        try:
            fields = compact.restored(fields).fields if compact.is_compact(fields) else fields
        except ValueError:
            # Named as the field that brings it back: all others may be in there.
            fields = {**fields, "payload": "not a compact record"}
        read = _Reader(fields)
        record = cls(
            ref=Ref(fields.get("source", ""), fields.get("id", "")),
            stage=known(Stage, fields.get("stage", "")),
            model=fields.get("model", ""),
            status=fields.get("status", ""),
            verdict=read("verdict", Verdict, None),
            reason=fields.get("reason") or None,
            said_reason=_reason(fields.get("said_reason")),
            said_error=fields.get("said_error", ""),
            via=fields.get("via") or None,
            known_at=read("known_at", float, 0.0),
            first_at=read("first_at", float, None),
            created_at=read("created_at", float, None),
            received_at=read("received_at", float, None),
            finished_at=read("finished_at", float, None),
            day=fields.get("day", ""),
            sequence=read("sequence", int, 0),
            digest=fields.get("digest", ""),
            attempts=read("attempts", int, 0),
            token=fields.get("token", ""),
            crashes=read("crashes", int, 0),
            crashes_alone=read("crashes_alone", int, 0),
            alone="alone" in fields,
            generation=read("generation", int, 0),
            failures=read("failures", int, 0),
            nsfw=unpack(fields.get("nsfw", "")),
            payload=read("payload", _payload, {}),
            callback=callback_headers.load(fields.get("callback", ""), fields.get("digest", "")),
            payload_dropped_at=fields.get("payload_dropped_at", ""),
            outputs=read("outputs", _objects, ()),
            reviews=read("reviews", decisions.reviews, {}),
            was=read("was", decisions.ending, None),
            replay_span=_span(fields.get("redeliver", "").removesuffix(_ANEW)),
            tells_anew=fields.get("redeliver", "").endswith(_ANEW),
            prune=read("prune", _object, {}),
            metadata=read("metadata", _object, {}),
            error=fields.get("error") or None,
        )
        return record if not read.unreadable else replace(record, corrupt=read.complaint())

    def public(
        self, timeline: Sequence[dict[str, Any]] = (), deliveries: Sequence[DeliveryRecord] = ()
    ) -> dict[str, Any]:
        """The contract's prediction object."""
        return {
            "id": self.ref.id,
            "source": self.ref.source,
            "model": self.model,
            "stage": self.stage,
            "status": self.status,
            "reason": self.reason,
            "received_via": self.via,
            "created_at": _rfc3339(self.created_at),
            "received_at": _rfc3339(self.received_at),
            "finished_at": _rfc3339(self.finished_at),
            "attempts": self.attempts,
            "error": self.error or self.said_error or None,
            "outputs": [{name: output.get(name) for name in PUBLIC_OUTPUT} for output in self.outputs],
            "reviews": [review.public(index) for index, review in sorted(self.reviews.items())],
            "timeline": shown(timeline),
            "deliveries": [delivery.public() for delivery in deliveries],
            "metadata": dict(self.metadata),
        }


def shown(timeline: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of a timeline with their instants as people read them."""
    return [line | {"at": clock.rfc3339(line["at"])} for line in timeline]


def known(words: type[Word], text: str) -> Word | str:
    """As one of our words, or as it is: an older version meets what a newer one wrote."""
    return words(text) if text in list(words) else text


class _Reader:
    """Reads fields that may be missing or unreadable, and remembers which were unreadable."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self.unreadable: list[str] = []

    def __call__(self, name: str, kind: Callable[[str], T], default: T) -> T:
        text = self._fields.get(name)
        try:
            return kind(text) if text else default
        except ValueError:
            self.unreadable.append(name)
            return default

    def complaint(self) -> str:
        return f"the ledger's record cannot be read: {', '.join(self.unreadable)}"


def _span(text: str) -> int:
    """0 is none: of a replay without a trace, `redeliver` is no more than a mark."""
    try:
        return int(text, 16) if len(text) == _SPAN_DIGITS else 0
    except ValueError:
        return 0


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004  # unreadable, like the rest of its kind
    return value


def _payload(text: str) -> dict[str, Any]:
    return {} if text == compact.MOVED else _object(text)


def _objects(text: str) -> tuple[dict[str, Any], ...]:
    value = json.loads(text)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("not a list of objects")
    return tuple(value)


def _reason(text: str | None) -> Reason | None:
    """A reason that only a newer version knows is still a failure of the provider."""
    return (Reason(text) if text in list(Reason) else Reason.PROVIDER_FAILED) if text else None


def named(values: Sequence[str | None], names: Sequence[str]) -> dict[str, str]:
    """An HMGET of `names` as a dict of what is there."""
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def pairs(reply: Sequence[str]) -> dict[str, str]:
    """A script's flat HGETALL as a dict."""
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _rfc3339(seconds: float | None) -> str | None:
    return None if seconds is None else clock.rfc3339(seconds)
