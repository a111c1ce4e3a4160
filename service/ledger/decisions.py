"""What a record holds of reviews: the last decision about each output, and the end that one returns to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.ledger.arrival import pack, unpack
from service.prediction import Nsfw, Stage
from service.review import Decision, Review

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Ending:
    """How a prediction had ended when a review opened it again: so it ends once more."""

    stage: Stage
    reason: str | None
    error: str
    finished_at: float
    """Seconds since the epoch."""


def reviews(text: str) -> dict[int, Review]:
    """By index. Raises ValueError, as `ending` does, for what cannot be read."""
    try:
        return {int(index): _review(said) for index, said in json.loads(text).items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not decisions by index") from error


def _review(said: Mapping[str, Any]) -> Review:
    return Review(
        number=int(said["number"]),
        decision=Decision(said["decision"]),
        by=said["by"],
        reason=said["reason"],
        at=float(said["at"]),
        # Beyond the flags that came, an output is unknown.
        nsfw=next(iter(unpack(said["nsfw"])), Nsfw.UNKNOWN),
        sha256=said["sha256"],
    )


def kept(given: Mapping[int, Review]) -> dict[str, dict[str, Any]]:
    """As `reviews` reads them."""
    return {
        str(index): {
            "number": review.number,
            "decision": review.decision,
            "by": review.by,
            "reason": review.reason,
            "at": review.at,
            "nsfw": pack([review.nsfw]),
            "sha256": review.sha256,
        }
        for index, review in given.items()
    }


def ending(text: str) -> Ending:
    try:
        said = json.loads(text)
        return Ending(Stage(said["stage"]), said["reason"] or None, said["error"], float(said["finished_at"]))
    except (KeyError, TypeError) as error:
        raise ValueError("not an ending") from error
