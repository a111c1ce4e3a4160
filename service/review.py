"""What a person decides about a held output, and for how long that holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from service import clock

if TYPE_CHECKING:
    from service.prediction import Nsfw


class Decision(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    UNDO = "undo"
    """The output is held again, as if nobody had decided."""


@dataclass(frozen=True, slots=True)
class Review:
    """The last decision about one output."""

    number: int
    """Of the output's decisions, from 1 on: what tells the events of two of them apart."""
    decision: Decision
    by: str
    reason: str
    at: float
    """Seconds since the epoch."""
    nsfw: Nsfw
    """The flag and the bytes that the person saw."""
    sha256: str | None

    def holds(self, nsfw: Nsfw, sha256: str | None) -> bool:
        """Does it say anything of these bytes? An approval says nothing once their flag is stricter."""
        laxer = self.decision is not Decision.APPROVE or nsfw.strictness <= self.nsfw.strictness
        return laxer and sha256 == self.sha256

    def public(self, index: int) -> dict[str, Any]:
        return {
            "index": index,
            "decision": self.decision,
            "by": self.by,
            "at": clock.rfc3339(self.at),
            "reason": self.reason or None,
        }
