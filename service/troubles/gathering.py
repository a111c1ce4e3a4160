"""Read the facts: bounded reads, one after the other, for callbacks share the connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import clock
from service.ledger import server
from service.ledger.query import DeliveryQuery
from service.refusals import RefusedFor
from service.troubles.facts import Facts

if TYPE_CHECKING:
    from service.ledger import Ledger
    from service.settings import Settings

DEAD_MOST = 20
_DEAD = DeliveryQuery(state="dead")
_LATELY = 3600.0
_LOOKED_AT = 200
"""Refused callbacks."""


async def gather(ledger: Ledger, settings: Settings) -> Facts:
    """Raises LedgerDown."""
    now = clock.now()
    dead, _ = await ledger.reading.deliveries(DEAD_MOST, None, _DEAD)
    return Facts(
        now=now,
        roles=await ledger.roles.alive(),
        stages=await ledger.reading.counts(),
        scaling=await ledger.reading.scaling(),
        tally=await ledger.reading.tally(),
        hooks=await ledger.hooks.standings([hook.name for hook in settings.hooks]),
        server=await server.look(ledger.redis),
        dead_deliveries=dead,
        forged=await _forged(ledger, now),
        urgent_within=settings.urgent_within,
        drifts=await ledger.drifts.last(),
        reconcile_every=settings.reconcile_every,
        secrets=await ledger.secrets.last(),
        warnings=settings.warnings(),
    )


async def _forged(ledger: Ledger, now: float) -> int:
    last, _ = await ledger.refusals.page(_LOOKED_AT, None)
    return sum(one.reason == RefusedFor.SIGNATURE and one.at > now - _LATELY for one in last)
