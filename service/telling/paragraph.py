"""A prediction's story in plain sentences, from its timeline: what happened, how it stands, what is next."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from service import clock
from service.prediction import Disposition, Stage
from service.telling.clauses import clauses
from service.telling.spans import ago, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def tell(prediction: Mapping[str, Any], now: float) -> str:
    """`prediction` is the public object with its timeline; `now` in seconds since the epoch."""
    model = f" of {prediction['model']}" if prediction["model"] else ""
    story = "; ".join(clauses(prediction, now)) or "nothing is on record"
    return " ".join(
        [f"{prediction['id']}{model}: {story}.", _present(prediction, now), *_future(prediction, now)]
    )


def outcome(outputs: Sequence[Mapping[str, Any]]) -> str:
    """`2 stored, 1 held`."""
    counts = Counter(output["disposition"] or "open" for output in outputs)
    return ", ".join(counted(n, disposition) for disposition, n in counts.items())


def counted(n: int, disposition: str) -> str:
    """`2 stored`. What is skipped is a text: it stands in the event, and is no loss."""
    if disposition == Disposition.SKIPPED:
        return f"{n} text{'' if n == 1 else 's'} (nothing to fetch)"
    return f"{n} {disposition}"


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
