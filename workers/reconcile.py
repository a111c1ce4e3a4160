"""Reconciling: the provider's list against the ledger; what we never heard of comes in by the one door."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING

import structlog

from service import clock, failpoints, wavespeed
from service.drift import Drift
from service.errors import ProviderDown, ProviderRefused, Unparseable
from service.ledger import Arrival
from service.prediction import Ref, Step, Verdict, Via
from service.tracing import telling
from service.tracing.span import OFF
from workers.polling import STUMBLES_MOST, in_turn, older

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.intake import Intake
    from service.ledger import Ledger
    from service.ledger.intents import Intent
    from service.prediction import Report
    from service.settings import Settings
    from service.wavespeed import Client
    from workers.pace import Pace

log = structlog.get_logger("sweep")

PAGE = 100
PAGES_MOST = 2_000
RETENTION = 7 * 86_400.0
"""The provider lists and keeps a week."""


class Reconciler:
    """Of one source.

    The first run looks at the whole week, the next ones at what is new since the last that succeeded.

    That one leaves a mark in Redis. When it is gone or another, Redis has lost what it had, or somebody else
    has led meanwhile: then it is the whole week again.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        intake: Intake,
        client: Client,
        pace: Pace,
        *,
        source: str = wavespeed.SOURCE,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._intake = intake
        self._client = client
        self._pace = pace
        self._source = source
        self._since = 0.0
        self._mark = ""
        self._stumbles = 0
        self._looked_at: set[str] = set()

    async def reconcile(self) -> int:
        """How many unknown predictions were found and adopted; 0 too when the provider does not answer."""
        began = clock.now()
        kept = self._mark and await self._ledger.sweeping.mark(self._source) == self._mark
        since = self._since if kept else began - RETENTION
        try:
            found = (await self.look(since)).missing
        except (ProviderDown, ProviderRefused) as error:
            log.warning("reconcile.failed", source=self._source, error=str(error))
            return 0
        # A prediction may be listed late: look back over two rounds, and an hour at the least.
        self._since = began - max(2 * self._settings.reconcile_every, 3600.0)
        self._mark = uuid.uuid4().hex
        await self._ledger.sweeping.leave_mark(self._source, self._mark)
        if found:
            log.info("reconciled", source=self._source, adopted=found)
        return found

    async def look(self, since: float) -> Drift:
        """At everything that was created after the instant `since`; what it finds is kept in the ledger.

        Raises ProviderDown, ProviderRefused.
        """
        now = clock.now()
        drift = Drift(self._source, since, now)
        self._stumbles = 0
        self._looked_at = set()
        # A list is newest first, and what is deleted soonest stands at its end: that end comes first.
        edge = now - RETENTION + self._settings.urgent_within
        if since < edge:
            await self._look(drift, since, edge)
        await self._look(drift, max(since, edge), None)
        self._looked_at = set()
        await self._ledger.drifts.keep(drift.public())
        return drift

    async def _look(self, drift: Drift, since: float, until: float | None) -> None:
        for page in range(1, PAGES_MOST + 1):
            await in_turn(self._pace)
            reports = await self._client.listed(page, PAGE, created_after=since, created_before=until)
            await failpoints.reach("reconcile.page")
            await self._adopt(drift, reports)
            # A page leaves out what is unreadable: only an empty one is surely the last.
            if not reports or older(reports, since):
                break

    async def _adopt(self, drift: Drift, reports: Sequence[Report]) -> None:
        # What is new at the provider meanwhile pushes others to the next page, where they are listed again.
        listed = {Ref(self._source, one.id): one for one in reports if one.id not in self._looked_at}
        self._looked_at |= {ref.id for ref in listed}
        standings = await self._ledger.reading.standings(list(listed))
        for ref, report in listed.items():
            drift.note(report.verdict, standings.get(ref))
        unknown = [ref for ref in listed if ref not in standings]
        for ref in unknown:
            began = clock.now()
            arrival = await self._arrival(ref, listed[ref])
            intent = await self._intent_of(listed[ref])
            if intent is not None:
                arrival = dataclasses.replace(
                    arrival, metadata=intent.metadata, detail="a submission of unknown outcome"
                )
            ended = arrival.report is not None and arrival.report.verdict is not Verdict.PENDING
            with telling.beginning("reconcile", ref, began) if ended else OFF:
                outcome = await self._intake.accept(arrival)
            status = listed[ref].status
            log.info("adopted", prediction=str(ref), status=status, outcome=outcome)
            if intent is not None:
                await self._ledger.intents.became(intent, ref.id)

    async def _intent_of(self, listed: Report) -> Intent | None:
        """The submission whose outcome we never learned, when this can only be it."""
        if listed.created_at is None:
            return None
        return await self._ledger.intents.matching(self._source, listed.model, listed.created_at)

    async def _arrival(self, ref: Ref, listed: Report) -> Arrival:
        """A listed completion carries no NSFW flags, so the whole of it is fetched before it is believed."""
        running = listed.verdict is Verdict.PENDING
        report = listed if running else await self._result(ref, listed)
        # What has ended, and could not be fetched now, is polled for at once.
        due_in = self._settings.poll_after if running else 0.0
        return Arrival(ref, Via.RECONCILE, Step.RECONCILED, report, due_in=due_in, model=listed.model)

    async def _result(self, ref: Ref, listed: Report) -> Report | None:
        """None when the provider does not tell it now: one bad answer must not keep out all that follows."""
        if self._stumbles >= STUMBLES_MOST:
            return None
        await in_turn(self._pace)
        try:
            # Listed, but without a result: taken as listed, and its flags are unknown.
            found = await self._client.result(ref.id) or listed
        except Unparseable as error:
            log.warning("reconcile.unparseable", prediction=str(ref), error=str(error))
            return None
        except ProviderDown as error:
            self._stumbles += 1
            log.warning("reconcile.unanswered", prediction=str(ref), error=str(error))
            return None
        self._stumbles = 0
        return found
