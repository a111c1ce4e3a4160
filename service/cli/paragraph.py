"""A prediction's story in plain sentences, from its timeline: what happened, how it stands, what is next."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from service import clock
from service.cli.spans import ago, span
from service.prediction import Stage, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AT_ONCE = 0.05

_SAYS = {
    Step.SUBMITTED: "we submitted it",
    Step.TRACKED: "an operator asked us to track it",
    Step.CALLED_BACK: "a callback came",
    Step.POLLED: "asking the provider told us more",
    Step.RECONCILED: "the provider's list had it",
    Step.ACCEPTED: "its completion was written down and queued, with the status {}",
    Step.LEASED: "the worker {} took it up",
    Step.FETCHED: "output {}",
    Step.JUDGED: "its flags were judged: {}",
    Step.STORED: "a file was stored as {}",
    Step.HELD: "a file was held for review: {}",
    Step.COMMITTED: "it ended as {}",
    Step.EVENT: "the event {} went into the outbox",
    Step.DELIVERED: "a delivery ended, {}",
    Step.REPLAYED: "it was replayed {}",
    Step.CRASHED: "the worker {} died with it in its hands",
    Step.CONTRADICTED: "somebody contradicted what was known: {}",
    Step.REVIEWED: "a person reviewed it: {}",
    Step.CONFLICT: "another file stood in the way: {}",
}
"""Each step as a sentence around its detail."""


def tell(prediction: Mapping[str, Any], now: float) -> str:
    """`prediction` is the public object with its timeline; `now` in seconds since the epoch."""
    model = f" of {prediction['model']}" if prediction["model"] else ""
    opening = f"{prediction['id']} is a prediction{model}."
    return " ".join(
        [opening, *_past(prediction["timeline"], now), _present(prediction, now), *_future(prediction, now)]
    )


def outcome(outputs: Sequence[Mapping[str, Any]]) -> str:
    """`2 stored, 1 held`."""
    counts = Counter(output["disposition"] or "open" for output in outputs)
    return ", ".join(f"{n} {disposition}" for disposition, n in counts.items())


def _past(timeline: Sequence[Mapping[str, Any]], now: float) -> list[str]:
    sentences = []
    before: float | None = None
    for entry in timeline:
        at = clock.parse_rfc3339(entry["at"]) or now
        sentences.append(f"{_when(at, before, now)} {_what(entry)}.")
        before = at
    return sentences


def _when(at: float, before: float | None, now: float) -> str:
    if before is None:
        return f"{ago(at, now)} ({clock.rfc3339(at)})"
    return "At once" if at - before < AT_ONCE else f"{span(at - before)} later"


def _what(entry: Mapping[str, Any]) -> str:
    step, detail = entry["step"], entry["detail"]
    sentence = _SAYS.get(step)
    if sentence is None:
        # A newer version may know more steps than we do.
        return f"{step}: {detail}" if detail else str(step)
    if "{}" in sentence:
        return sentence.format(detail or "?")
    return f"{sentence} ({detail})" if detail else sentence


def _present(prediction: Mapping[str, Any], now: float) -> str:
    stage = prediction["stage"]
    because = ": ".join(str(part) for part in (prediction["reason"], prediction["error"]) if part)
    match stage:
        case Stage.AWAITED:
            said = (
                f'the provider last said "{prediction["status"]}"'
                if prediction["status"]
                else "nothing came yet"
            )
            return f"It is awaited: {said}, and we poll until it ends."
        case Stage.ACCEPTED:
            return "It waits for a worker" + (f"; the last attempt failed ({because})." if because else ".")
        case Stage.WORKING:
            return f"A worker is at it, attempt {prediction['attempts']}."
        case Stage.DONE:
            ended = ago(clock.parse_rfc3339(prediction["finished_at"]), now)
            what = outcome(prediction["outputs"]) or "it has no outputs"
            return f"It is done since {ended}: {what}."
        case _:
            return f"It is {stage}" + (f" ({because})." if because else ".")


def _future(prediction: Mapping[str, Any], now: float) -> list[str]:
    sentences = []
    if any(output["disposition"] == "held" for output in prediction["outputs"]):
        command = f"`catchlight review approve {prediction['id']} INDEX`"
        sentences.append(f"What is held waits for a person: {command} releases it.")
    if pending := [one for one in prediction["deliveries"] if one["state"] == "pending"]:
        sentences.append(f"Not yet told: {', '.join(_pending(one, now) for one in pending)}.")
    if dead := [one for one in prediction["deliveries"] if one["state"] == "dead"]:
        names = ", ".join(sorted({one["hook"] for one in dead}))
        sentences.append(
            f"We gave up telling {names}; `catchlight deliveries retry {dead[0]['id']}` tries again."
        )
    if prediction["stage"] in (Stage.EXPIRED, Stage.DEAD):
        sentences.append(f"`catchlight replay {prediction['id']}` tries again.")
    return sentences


def _pending(delivery: Mapping[str, Any], now: float) -> str:
    at = clock.parse_rfc3339(delivery["next_attempt_at"])
    when = f", again in {span(at - now)}" if at else ""
    return f"{delivery['hook']} of {delivery['event']} (attempts: {delivery['attempts']}{when})"
