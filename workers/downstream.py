"""What the sweeper does for hooks: for one that is down, it sends somebody every now and then to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from service.ledger import Ledger
    from service.settings import Settings

log = structlog.get_logger("hooks")


class Downstream:
    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._ledger = ledger
        self._names = [hook.name for hook in settings.hooks]
        self.probe_every = settings.breaker_probe / 2
        """Seconds. Twice as often as workers let a probe pass, which is when they choose: so none waits for
        a delivery much longer than for its time.
        """

    async def probe(self) -> None:
        """Deliveries are parked while their hook's breaker is open, and a hook is known by its deliveries."""
        if rung := await self._ledger.deliveries.ring_probes(self._names):
            log.debug("hooks.probed", deliveries=rung)
