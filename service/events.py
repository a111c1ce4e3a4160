"""What we tell hooks: the kinds of events, their ids and their bodies.

Thin: URIs, hashes and dispositions, no bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from service import clock, plain_json
from service.hooks import budget, hears_of_hooks, matches
from service.prediction import Disposition, Stage
from service.signing import event_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.hooks import Hook, Outage
    from service.prediction import Ref


class Kind(StrEnum):
    COMPLETED = "prediction.completed"
    FAILED = "prediction.failed"
    EXPIRED = "prediction.expired"
    DEAD = "prediction.dead"
    HELD = "output.held"
    RELEASED = "output.released"
    REJECTED = "output.rejected"
    PING = "hook.ping"
    FAILING = "hook.failing"


OF_STAGE = {
    Stage.DONE: Kind.COMPLETED,
    Stage.FAILED: Kind.FAILED,
    Stage.EXPIRED: Kind.EXPIRED,
    Stage.DEAD: Kind.DEAD,
}

OF_DISPOSITION = {
    Disposition.HELD: Kind.HELD,
    Disposition.RELEASED: Kind.RELEASED,
    Disposition.REJECTED: Kind.REJECTED,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event and the names of the hooks that want it; its bytes are fixed here, for every attempt."""

    id: str
    kind: Kind
    body: str
    hooks: tuple[str, ...]

    def deliveries(self) -> list[dict[str, str]]:
        return [{"id": delivery_id(self.id, name), "hook": name} for name in self.hooks]


def delivery_id(event: str, hook: str) -> str:
    """A function of both, so that committing the same event twice makes one delivery."""
    return "dlv_" + hashlib.sha256(f"{event} {hook}".encode()).hexdigest()[:32]


def of_prediction(
    ref: Ref,
    generation: int,
    prediction: Mapping[str, Any],
    hooks: Iterable[Hook],
    at: float,
    *,
    decided: Mapping[int, int] | None = None,
) -> list[Event]:
    """Those of a terminal prediction (its public object): `prediction.*`, and `output.*` for what is held,
    and for what a person has released or rejected.

    The occasion of an event is `generation`, which counts the completions that superseded one another and the
    replays that asked for new ids, and for an output the number of the decision that it follows (`decided`,
    by index; 0 is none).
    """
    hooks = tuple(hooks)

    def event(kind: Kind, occasion: str, outputs: Sequence[Mapping[str, Any]]) -> Event:
        classes = {output["nsfw"] for output in outputs}
        wanted = tuple(
            hook.name for hook in hooks if matches(hook, kind, prediction["model"], ref.source, classes)
        )
        id_ = event_id(ref.source, ref.id, kind, occasion)
        return Event(id_, kind, _body(kind, prediction, outputs, at), wanted)

    outputs = [output for output in prediction["outputs"] if output["disposition"] != Disposition.SKIPPED]
    return [
        event(OF_STAGE[Stage(prediction["stage"])], str(generation), outputs),
        *(
            event(kind, _occasion(generation, output["index"], decided or {}), [output])
            for output in outputs
            if (kind := OF_DISPOSITION.get(output["disposition"]))
        ),
    ]


def _occasion(generation: int, index: int, decided: Mapping[int, int]) -> str:
    number = decided.get(index, 0)
    return f"{generation}/{index}/{number}" if number else f"{generation}/{index}"


def ping(hook: str, at: float) -> str:
    """The body of what `hooks test` sends."""
    return _encoded(Kind.PING, {"hook": hook}, at)


def failing(
    hook: Hook, outage: Outage, percent: int, *, schedule: Sequence[float], hooks: Iterable[Hook], at: float
) -> Event:
    """That so much of a hook's failure budget is spent; for the others that want to hear of it."""
    data = {
        "hook": hook.name,
        "percent": percent,
        "failing_since": clock.rfc3339(float(outage.since)),
        "budget_seconds": budget(schedule),
    }
    wanted = [one.name for one in hooks if one.name != hook.name and hears_of_hooks(one, Kind.FAILING)]
    # No source has an empty name: it is nobody's prediction.
    id_ = event_id("", hook.name, Kind.FAILING, f"{outage.since}/{percent}")
    return Event(id_, Kind.FAILING, _encoded(Kind.FAILING, data, at), tuple(wanted))


def _body(kind: Kind, prediction: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]], at: float) -> str:
    data = {name: prediction[name] for name in _CARRIED} | {"outputs": [_thin(output) for output in outputs]}
    return _encoded(kind, data, at)


def _encoded(kind: Kind, data: Mapping[str, Any], at: float) -> str:
    said = {"type": kind, "timestamp": clock.rfc3339(at), "data": data}
    return plain_json.encoded(said)


_CARRIED = (
    "id",
    "source",
    "model",
    "status",
    "stage",
    "reason",
    "received_via",
    "created_at",
    "finished_at",
    "metadata",
)


def _thin(output: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing in an event leads to a file that a person has not cleared."""
    handed_on = output["disposition"] in (Disposition.STORED, Disposition.RELEASED)
    hidden = {} if handed_on else {"uri": None, "sha256": None}
    return dict(output) | hidden
