"""The ledger: what became of every prediction, in Redis. It is the truth; RQ only says "work on this now".

One script per change, so that nothing is ever half written; all of them run on Redis' own clock. A prediction
that is not terminal stands in exactly one of two sorted sets by the instant somebody must look at it again:
`due:work` (accepted, working) and `due:poll` (awaited). They are two so that a backlog of polls never delays
lost work. What has ended becomes compact after a while, and is restored by whatever brings it back to work.

What the operations cost, where n is all that is kept. One thing's payload, outputs, events and lines (400 at
most) are always read as a whole, and never those of another; its places in sorted sets are O(log n) each.
Nothing asks for KEYS, nothing does a SCAN.

How a list is found by the words of its query: `stage` has a sorted set for each. `model`, `nsfw` (flagged and
unknown), `via` (all but callback) and `err`, and of deliveries `hook`, `state:dead` and `err`, have blocks
(`walking.py`): O(log n) for each block, a few bytes per prediction, and what is in a block is looked at.
`since` and `until` are found by halving, O(log n) look-ups. A whole `id` is looked up. The others (`source`,
`hook`, `meta`, an id's beginning, and what nearly everything says) are looked for in what the words beside
them leave. All of it is bounded for one page, by 40 chunks; a cursor goes on.

| Operation                                                  | Cost                                       |
|------------------------------------------------------------|--------------------------------------------|
| accept, of b arrivals                                      | O(b log n)                                 |
| lease, postpone, crash, replay, review, restore            | O(log n)                                   |
| renew, of b                                                | O(b log n)                                 |
| commit, with d deliveries; redeliver, anew, enable, of d   | O((1 + d) log n)                           |
| deliver, delivered                                         | O(log n)                                   |
| probe, of h hooks                                          | O(h log n)                                 |
| hooks: standings, hours of h hooks; what waits             | O(h); O(log n + 500)                       |
| outage; notice, for d hooks                                | O(1); O(d log n)                           |
| stream, of g groups and t entries that go                  | O(g + t)                                   |
| sweep, poll, trim, settled, compact, of at most m          | O((1 + m) log n), m being only what is due |
| sweep, once after the server's clock was set               | O(w log n), w being all that waits         |
| record, prediction, delivery, deliveries_of, find          | O(1)                                       |
| deliveries of k predictions; values of a word              | O(k); O(log n), the list has an end        |
| page, held, deliveries, refused: k, from any cursor        | O(log n + k)                               |
| the same, filtered by more than a stage                    | O(log n + 40 * max(k, 100)) at most        |
| page, deliveries, of an id                                 | O(1)                                       |
| scaling; counts; tally, stamp                              | O(log n); O(stages); O(names in it)        |
| keep the history's minute; its last k                      | O(1); O(k), of 1,441 at most               |
| how the server stands, with what it promises               | O(1)                                       |
| measured, of h hooks and r roles; add, of f counts         | O(log n + h + r); O(f)                     |
| refuse, of b; policy                                       | O(b); O(1): the lists have an end          |
| intend; matching, of i open intents within four minutes    | O(log i); O(log i + i)                     |
| plan, of m members; settle; get, latest, of k              | O(m); O(1); O(log n + k)                   |
| take, saw, waiting; position; holders, leave, of m; looks  | O(1); O(log n); O(m); O(1): it has an end  |
| beat, leave; alive, of r roles that beat within a day      | O(log r); O(r)                             |
| backup, bring, of b                                        | O(b log n)                                 |
| prune, of at most m; what is due, of m predictions         | O((1 + m) log n); O(log n + m)             |
| drop payloads, of at most m; payloads due  | O(log n + m log n); O(log n)               |
| rebuild, of b with their lines and events                  | O(b log n)                                 |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import keys
from service.errors import ConfigError, LedgerDown
from service.ledger.arrival import Arrival
from service.ledger.beside import Beside
from service.ledger.compacting import Compacting
from service.ledger.connection import close, connect, reaching
from service.ledger.copying import Copying
from service.ledger.deliveries import Deliveries
from service.ledger.delivery import DeliveryRecord
from service.ledger.history import History
from service.ledger.hooks import Hooks
from service.ledger.intents import Intents
from service.ledger.measuring import Measuring
from service.ledger.policies import Policies
from service.ledger.predictions import Commit, Note, Outcome, Predictions
from service.ledger.pruning import Pruning
from service.ledger.pulse import Pulse
from service.ledger.reading import Reading
from service.ledger.rebuilding import Rebuilding
from service.ledger.records import PredictionRecord
from service.ledger.refusals import Refusals
from service.ledger.reviewers import Reviewers
from service.ledger.reviews import Reviews
from service.ledger.roles import Roles
from service.ledger.runs import Runs
from service.ledger.scripts import URGENT_WITHIN, Scripts
from service.ledger.streams import Streams
from service.ledger.sweeping import DuePoll, Sweeping, Swept
from service.ledger.told import Told

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
    """The whole of it over one Redis client. `retention`: seconds that terminal predictions stay.

    `urgent_within`: seconds to the deletion of their outputs from which on predictions go before all others.
    `together`: for whoever asks much at the same time and each little; calls of scripts share round trips.
    """

    def __init__(
        self,
        url: str,
        retention: float,
        *,
        connections: int = 16,
        virtual_now: Callable[[], float] | None = None,
        together: bool = False,
        urgent_within: float = URGENT_WITHIN,
    ) -> None:
        self.redis = connect(url, connections=connections)
        self._scripts = scripts = Scripts(
            self.redis, virtual_now, together=together, urgent_within=urgent_within
        )
        self.predictions = Predictions(scripts, retention)
        self.deliveries = Deliveries(scripts, retention)
        self.streams = Streams(scripts, retention)
        self.hooks = Hooks(scripts)
        self.sweeping = Sweeping(scripts)
        self.compacting = Compacting(scripts, retention)
        self.reading = Reading(scripts)
        self.beside = Beside(scripts, self.reading)
        self.pulse = Pulse(self.redis)
        self.reviews = Reviews(scripts)
        self.reviewers = Reviewers(scripts)
        self.pruning = Pruning(scripts)
        self.rebuilding = Rebuilding(scripts)
        self.intents = Intents(scripts)
        self.refusals = Refusals(scripts)
        self.policies = Policies(scripts)
        self.drifts = Told(self.redis, keys.DRIFT)
        self.secrets = Told(self.redis, keys.SECRETS)
        self.history = History(scripts)
        self.runs = Runs(scripts)
        self.roles = Roles(self.redis)
        self.copying = Copying(scripts, self.roles)
        self.measuring = Measuring(scripts, self.reading, self.roles, self.drifts, self.secrets)

    async def agree(self) -> None:
        """What every role does at its start: is the ledger's layout ours? Older ones are brought to it.

        Raises ConfigError for a newer one. With Redis away nothing is said, and whoever asks later is told.
        """
        try:
            why = await self._scripts.agree()
        except LedgerDown:
            return
        if why:
            raise ConfigError(why)

    async def aclose(self) -> None:
        await close(self.redis)
