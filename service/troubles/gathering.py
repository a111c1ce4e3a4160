"""Read the facts: bounded reads, one after the other, for callbacks share the connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import clock, throughput
from service.ledger import server
from service.refusals import RefusedFor
from service.throughput import DEAD
from service.troubles.facts import Facts

if TYPE_CHECKING:
    from service.ledger import Ledger
    from service.settings import Settings

_LATELY = 3600.0
_LOOKED_AT = 200
"""Refused callbacks."""
_MINUTES = 3
"""Kept ones: one of them is a minute old, unless no sweeper keeps any."""


async def gather(ledger: Ledger, settings: Settings) -> Facts:
    """Raises LedgerDown."""
    now = clock.now()
    tally, earliest = await ledger.reading.tally(), await ledger.history.earliest()
    return Facts(
        now=now,
        roles=await ledger.roles.alive(),
        stages=await ledger.reading.counts(),
        scaling=await ledger.reading.scaling(),
        tally=tally,
        hooks=await ledger.hooks.standings([hook.name for hook in settings.hooks]),
        server=await server.look(ledger.redis),
        # Counted and not looked for: few that are dead among many may take a second to find.
        died=0 if earliest is None else tally.get(DEAD, 0) - earliest.totals.get(DEAD, 0),
        forged=await _forged(ledger, now),
        urgent_within=settings.urgent_within,
        drifts=await ledger.drifts.last(),
        reconcile_every=settings.reconcile_every,
        secrets=await ledger.secrets.last(),
        fetches=throughput.fetches(await ledger.history.last(_MINUTES)),
        warnings=settings.warnings(),
    )


async def _forged(ledger: Ledger, now: float) -> int:
    last, _ = await ledger.refusals.page(_LOOKED_AT, None)
    return sum(one.reason == RefusedFor.SIGNATURE and one.at > now - _LATELY for one in last)
