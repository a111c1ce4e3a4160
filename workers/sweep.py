"""The sweeper: rings what is due, polls for every callback that never came, adopts what we never heard of.

Any number may run; one leads. All it does to the ledger is a script, so one that slept through its lead does
no harm.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

import structlog

from service import clock, failpoints
from service.ending import end
from service.errors import LedgerDown, LedgerFull
from workers.carrier import Carrier
from workers.downstream import Downstream
from workers.pace import Pace
from workers.ping import Pinger
from workers.reconcile import Reconciler
from workers.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from service.intake import Intake
    from service.ledger import Ledger
    from service.settings import Settings
    from service.wavespeed import Client

log = structlog.get_logger("sweep")

EVERY = 0.5
LEAD_FOR = 10.0
SWEEP_MOST = 500
TRIM_EVERY = 30.0
HOOKS_EVERY = 30.0
HISTORY_EVERY = 5.0
"""Seconds: a minute's totals are kept so soon after it began, whoever leads then."""
PRUNE_EVERY, PRUNE_MOST, PAYLOADS_MOST = 5.0, 25, 250
COMPACT_MOST = 25
"""One batch takes Redis a millisecond, in which nobody else is served."""


class Sweeper:
    """Rhythms that never wait for one another: sweep, poll, compact, reconcile, runs, and those for hooks."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        intake: Intake,
        clients: Mapping[str, Client],
        instance: str,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._instance = instance
        paces = {name: Pace(settings.account(name).poll_rate) for name in clients}
        self._rounds = Rounds(settings, ledger, intake, clients, paces)
        # What is new belongs to the shard that its source is at home on; that one asks for it.
        self._reconcilers = [
            Reconciler(settings, ledger, intake, clients[one.name], paces[one.name], source=one.name)
            for one in settings.at_home
            if one.name in clients
        ]
        self._downstream = Downstream(settings, ledger)
        self._carrier = Carrier(ledger, lambda: self.leading)
        self._pinger = Pinger(settings, ledger)
        self._stopping = asyncio.Event()
        # Instants of the monotonic clock: the other one may be set back by an hour.
        self._leads_until = 0.0
        self._reclaims_from = 0.0
        self._swept_at = 0.0
        self._trims_from = 0.0

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Until stopped."""
        rhythms = [
            asyncio.create_task(self._rhythm(EVERY, self._sweep)),
            asyncio.create_task(self._rhythm(EVERY, self._poll)),
            asyncio.create_task(self._rhythm(EVERY, self._compact)),
            asyncio.create_task(self._rhythm(PRUNE_EVERY, self._prune)),
            asyncio.create_task(self._rhythm(self._downstream.probe_every, self._probe_hooks)),
            asyncio.create_task(self._rhythm(EVERY, self._carry_out)),
            asyncio.create_task(self._rhythm(HOOKS_EVERY, self._look_after_hooks)),
            asyncio.create_task(self._rhythm(HISTORY_EVERY, self._keep_history)),
        ]
        if self._settings.reconcile_every:
            every = self._settings.reconcile_every
            rhythms += [
                asyncio.create_task(self._rhythm(every, partial(self._reconcile, one)))
                for one in self._reconcilers
            ]
        try:
            await self._stopping.wait()
        finally:
            await end(*rhythms)
            await self._rounds.aclose()
            await self._carrier.stop()
            await self._pinger.stop()
        if self.leading:
            await self._abdicate()

    @property
    def leading(self) -> bool:
        """By our own clock: who was stopped for longer than the lead no longer leads when he wakes up."""
        return time.monotonic() < self._leads_until

    async def _rhythm(self, every: float, beat: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await beat()
            except LedgerFull as error:
                # It answers, and what is here can be worked off: no reason to stop leading.
                log.warning("redis.full", error=str(error))
            except LedgerDown as error:
                self._leads_until = 0.0
                log.warning("redis.away", error=str(error))
            except Exception:
                # The edge of the sweeper: a bug in one beat must not end the others, nor the next one.
                log.exception("sweep.failed")
            await asyncio.sleep(every if self.leading else EVERY)

    async def _sweep(self) -> None:
        led, began = self.leading, time.monotonic()
        leads = await self._ledger.sweeping.lead(self._instance, LEAD_FOR)
        self._leads_until = began + LEAD_FOR if leads else 0.0
        if not leads:
            return
        if not led:
            # Redis may have been away, and nobody could renew a lease: whoever works now has not crashed.
            self._reclaims_from = began + self._settings.lease
            log.info("sweep.leading", instance=self._instance)
        await failpoints.reach("sweep.before")
        asked = time.monotonic()
        swept = await self._ledger.sweeping.sweep(
            SWEEP_MOST,
            reclaim=began >= self._reclaims_from,
            elapsed=asked - self._swept_at if led else None,
        )
        self._swept_at = asked
        await failpoints.reach("sweep.after")
        for ref, worker in swept.whose:
            log.warning("prediction.crashed", prediction=str(ref), worker=worker)
        if swept.rung or swept.crashed or swept.redelivered:
            log.info("swept", rung=swept.rung, crashed=swept.crashed, redelivered=swept.redelivered)
        if swept.stepped:
            self._reclaims_from = asked + self._settings.lease
            log.warning("redis.clock_set", seconds=swept.stepped, fix="synchronise the clocks (NTP)")
        if began >= self._trims_from:
            await self._trim(began)

    async def _trim(self, now: float) -> None:
        forgotten = await self._ledger.sweeping.trim(SWEEP_MOST)
        # As long as there is more it goes on with every beat: a busy ledger ages as fast as it grows.
        if forgotten < SWEEP_MOST:
            self._trims_from = now + TRIM_EVERY
        if forgotten:
            log.info("trimmed", forgotten=forgotten)

    async def _poll(self) -> None:
        if self.leading:
            await self._rounds.poll()

    async def _prune(self) -> None:
        if not self.leading:
            return
        await self._ledger.refusals.forget(clock.now() - self._settings.refused_retention)
        for kind, lives in self._settings.file_retentions.items():
            given = await self._ledger.pruning.hand_over(kind, lives, PRUNE_MOST) if lives else 0
            if given:
                log.info("pruned", kind=kind, predictions=given)
        if lives := self._settings.payload_retention:
            _, given = await self._ledger.pruning.drop_payloads(
                lives, self._settings.retention, PAYLOADS_MOST
            )
            if given:
                log.info("pruned", kind="payload", predictions=given)

    async def _compact(self) -> None:
        after, done, looked = self._settings.compact_after, 0, 1
        while looked and self.leading:
            looked, compacted = await self._ledger.compacting.compact(after, COMPACT_MOST)
            done += compacted
        if done:
            log.info("compacted", predictions=done)

    async def _probe_hooks(self) -> None:
        if self.leading:
            await self._downstream.probe()

    async def _carry_out(self) -> None:
        if self.leading:
            await self._carrier.look()
            await self._pinger.look()

    async def _look_after_hooks(self) -> None:
        if self.leading:
            await self._downstream.notice()
            await self._downstream.trim()

    async def _keep_history(self) -> None:
        if self.leading:
            await self._ledger.history.keep()

    async def _reconcile(self, reconciler: Reconciler) -> None:
        if self.leading:
            await reconciler.reconcile()

    async def _abdicate(self) -> None:
        try:
            await self._ledger.sweeping.abdicate(self._instance)
        except LedgerDown as error:
            log.warning("redis.away", error=str(error))
