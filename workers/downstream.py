"""What the sweeper does for hooks: it looks whether one that is down is back, says how long that has been,
and keeps streams short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from service import clock, events
from service.hooks import due

if TYPE_CHECKING:
    from service.hooks import Hook, Outage
    from service.ledger import Ledger
    from service.settings import Settings

log = structlog.get_logger("hooks")


class Downstream:
    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._ledger = ledger
        self._hooks = settings.hooks
        self._schedule = settings.hook_schedule
        self._names = [hook.name for hook in settings.hooks]
        self._streams = [hook for hook in settings.hooks if hook.is_stream]
        self._behind: set[str] = set()
        self.probe_every = settings.breaker_probe / 2
        """Seconds. Twice as often as workers let a probe pass, which is when they choose: so none waits for
        a delivery much longer than for its time.
        """

    async def probe(self) -> None:
        """Deliveries are parked while their hook's breaker is open, and a hook is known by its deliveries."""
        if rung := await self._ledger.deliveries.ring_probes(self._names):
            log.debug("hooks.probed", deliveries=rung)

    async def trim(self) -> None:
        """Streams, by their age. That one is too short for its readers is said once, while it is."""
        for hook in self._streams:
            _, behind = await self._ledger.streams.trim(hook)
            if behind and hook.name not in self._behind:
                fix = "start more readers, raise maxlen, or XGROUP DESTROY a group that nobody reads for"
                log.warning("stream.behind", hook=hook.name, stream=hook.stream, maxlen=hook.maxlen, fix=fix)
            (self._behind.add if behind else self._behind.discard)(hook.name)

    async def notice(self) -> None:
        """That a hook has spent half of its failure budget, nine tenths, all: once each in an outage."""
        for hook in self._hooks:
            if outage := await self._ledger.deliveries.outage(hook.name):
                for percent in due(outage, self._schedule):
                    await self._tell(hook, outage, percent)

    async def _tell(self, hook: Hook, outage: Outage, percent: int) -> None:
        now = clock.now()
        event = events.failing(hook, outage, percent, schedule=self._schedule, hooks=self._hooks, at=now)
        if await self._ledger.deliveries.notice(hook.name, outage, percent, event):
            log.warning(
                "hook.failing",
                hook=hook.name,
                percent=percent,
                failing_since=clock.rfc3339(float(outage.since)),
                fix=f"see `catchlight deliveries ls hook:{hook.name}`; at 100 % deliveries begin to be dead",
            )
