"""A person's decision about a held output: checked, written down, and left to a worker to carry out.

Shared by the API and the command line; whoever decides may have no access to storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import InvalidInput
from service.late_log import LateLog

if TYPE_CHECKING:
    from service.ledger import Ledger
    from service.prediction import Ref
    from service.review import Decision

log = LateLog("operator")

BY_MOST = 64
REASON_MOST = 200
"""Characters."""


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who decides, and why: both stand in the timeline. Raises InvalidInput that names the field."""

    by: str
    reason: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.by) <= BY_MOST or not self.by.isprintable():
            raise InvalidInput("by", f"must be 1 to {BY_MOST} printable characters")
        if len(self.reason) > REASON_MOST or not self.reason.isprintable():
            raise InvalidInput("reason", f"must be at most {REASON_MOST} printable characters, on one line")


async def decide(ledger: Ledger, ref: Ref, index: int, decision: Decision, reviewer: Reviewer) -> Ref:
    """Raises InvalidInput, NotFound for an unknown index, and Conflict, as `Reviews.decide` says."""
    number = await ledger.reviews.decide(ref, index, decision, reviewer.by, reviewer.reason)
    log.info("reviewed", prediction=str(ref), output=index, decision=decision, by=reviewer.by, number=number)
    return ref
