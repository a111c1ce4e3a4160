"""The ledger: what became of every prediction, in Redis. It is the truth; RQ only says "work on this now".

One script per change, so that nothing is ever half written; all of them run on Redis' own clock. A prediction
that is not terminal stands in exactly one of two sorted sets by the instant somebody must look at it again:
`due:work` (accepted, working) and `due:poll` (awaited). They are two so that a backlog of polls never delays
lost work. Costs are O(log n) in the number of predictions for every change and every item of a page; counts
are O(1); `Roles.alive` alone scans. What has ended becomes compact after a while, and is restored by whatever
brings it back to work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.ledger.arrival import Arrival
from service.ledger.compacting import Compacting
from service.ledger.connection import connect, reaching
from service.ledger.deliveries import Deliveries
from service.ledger.intents import Intents
from service.ledger.policies import Policies
from service.ledger.predictions import Commit, Note, Outcome, Predictions
from service.ledger.reading import Reading
from service.ledger.records import DeliveryRecord, PredictionRecord
from service.ledger.refusals import Refusals
from service.ledger.reviews import Reviews
from service.ledger.roles import Roles
from service.ledger.scripts import Scripts
from service.ledger.sweeping import DuePoll, Sweeping, Swept

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Arrival",
    "Commit",
    "DeliveryRecord",
    "DuePoll",
    "Ledger",
    "Note",
    "Outcome",
    "PredictionRecord",
    "Swept",
    "connect",
    "reaching",
]


class Ledger:
    """The whole of it over one Redis client. `retention`: seconds that terminal predictions stay."""

    def __init__(
        self,
        url: str,
        retention: float,
        *,
        connections: int = 16,
        virtual_now: Callable[[], float] | None = None,
    ) -> None:
        self.redis = connect(url, connections=connections)
        scripts = Scripts(self.redis, virtual_now)
        self.predictions = Predictions(scripts, retention)
        self.deliveries = Deliveries(scripts, retention)
        self.sweeping = Sweeping(scripts)
        self.compacting = Compacting(scripts, retention)
        self.reading = Reading(scripts)
        self.reviews = Reviews(scripts)
        self.intents = Intents(scripts)
        self.refusals = Refusals(scripts)
        self.policies = Policies(scripts)
        self.roles = Roles(self.redis)

    async def aclose(self) -> None:
        await self.redis.aclose()
