"""Polling: asks the provider about awaited predictions, within the rate, and gives up at the deadline."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from service import clock, events, failpoints
from service.errors import ProviderDown, ProviderRefused, Unparseable
from service.ledger import Arrival, Commit
from service.prediction import Reason, Stage, Step, Verdict, Via
from service.tracing import telling
from service.tracing.span import OFF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.intake import Intake
    from service.ledger import DuePoll, Ledger
    from service.prediction import Ref, Report
    from service.settings import Settings
    from service.wavespeed import Client
    from workers.pace import Pace

log = structlog.get_logger("sweep")

FIRST_WAIT = 2.0
GROWTH = 1.5
AT_ONCE = 16
"""Requests in flight."""
LIST_ABOVE = 50
"""More than this due together: list pages find the terminal ones, and only those are fetched."""
LIST_PAGE = 100
LIST_PAGES_MOST = 60
TAKE_MOST = 2_000
FORGET_AFTER = 86_400.0
STUMBLES_MOST = 3
"""Failures in a row before a provider is taken to be down: now and then one is nothing."""
PAUSE = 5.0
PAUSE_MOST = 300.0
_CREATED_BEFORE_KNOWN = 600.0
"""Seconds by which an id is usually older than our knowledge of it."""


async def in_turn(pace: Pace) -> None:
    """Wait for the rate, then use one request of it."""
    while wait := pace.wait(time.monotonic()):  # noqa: ASYNC110 - not an event but a matter of time
        await asyncio.sleep(wait)
    pace.start(time.monotonic())


class Poller:
    """Of one source: its client has its key, its pace its rate."""

    def __init__(
        self, settings: Settings, ledger: Ledger, intake: Intake, client: Client, pace: Pace
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._intake = intake
        self._client = client
        self._pace = pace
        self._paused_until = 0.0
        self._stumbles = 0

    @property
    def paused(self) -> bool:
        return time.monotonic() < self._paused_until

    async def poll(self, due: list[DuePoll]) -> None:
        """One round of what is due of this source, within its rate."""
        # Who has been awaited longest has least time left before the provider deletes its outputs.
        due.sort(key=lambda one: one.known_at)
        if len(due) > LIST_ABOVE and not self.paused:
            due = await self._worth_asking(due)
        await self._ask(due)

    async def _worth_asking(self, due: Sequence[DuePoll]) -> list[DuePoll]:
        """Those that the provider lists as ended or does not list at all, and those past their deadline."""
        wanted = {one.ref.id for one in due}
        ended: set[str] = set()
        oldest = min(one.known_at for one in due) - _CREATED_BEFORE_KNOWN
        for page in range(1, LIST_PAGES_MOST + 1):
            await in_turn(self._pace)
            try:
                reports = await self._client.listed(page, LIST_PAGE)
            except (ProviderDown, ProviderRefused) as error:
                self._pause(error)
                break
            ended |= {report.id for report in reports if report.verdict is not Verdict.PENDING}
            wanted -= {report.id for report in reports}
            # A page leaves out what is unreadable: only an empty one is surely the last.
            if not wanted or not reports or older(reports, oldest):
                break
        asked = ended | wanted
        return [one for one in due if one.ref.id in asked or self._age(one) > self._settings.deadline]

    async def _ask(self, due: Sequence[DuePoll]) -> None:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(item: DuePoll) -> None:
            async with places:
                if not self.paused:
                    await in_turn(self._pace)
                if self.paused:
                    await self._unanswered(item)
                else:
                    await self._poll_one(item)

        # All come to their end before an error is raised: nothing goes on behind the next round.
        for result in await asyncio.gather(*map(one, due), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _poll_one(self, item: DuePoll) -> None:
        await failpoints.reach("poll.before")
        began = clock.now()
        try:
            report = await self._client.result(item.ref.id)
        except (ProviderDown, ProviderRefused) as error:
            self._pause(error)
            await self._unanswered(item)
        except Unparseable as error:
            log.warning("poll.unparseable", prediction=str(item.ref), error=str(error))
            await self._unanswered(item)
        else:
            self._stumbles = 0
            await failpoints.reach("poll.after_answer")
            if report is None:
                await self._unknown(item)
            else:
                await self._answered(item, report, began)

    async def _answered(self, item: DuePoll, report: Report, began: float) -> None:
        ended = report.verdict is not Verdict.PENDING
        if not ended and self._age(item) > self._settings.deadline:
            await expire(self._settings, self._ledger, item.ref, Reason.DEADLINE)
            return
        arrival = Arrival(item.ref, Via.POLL, Step.POLLED, report, due_in=self._settings.poll_max)
        # A trace of a day's polls would be nothing else: it has the one that found something.
        with telling.beginning("poll", item.ref, began) if ended else OFF:
            outcome = await self._intake.accept(arrival)
        if ended:
            log.info("polled", prediction=str(item.ref), status=report.status, outcome=outcome)

    async def _unknown(self, item: DuePoll) -> None:
        """404: for a while that may be a provider that has not caught up with itself."""
        if self._age(item) > min(self._settings.deadline, FORGET_AFTER):
            await expire(self._settings, self._ledger, item.ref, Reason.UNKNOWN_TO_PROVIDER)

    async def _unanswered(self, item: DuePoll) -> None:
        """Nothing was learned of it, and its next poll stands already."""
        await give_up(self._settings, self._ledger, item)

    def _age(self, item: DuePoll) -> float:
        return clock.now() - item.known_at

    def _pause(self, error: ProviderDown | ProviderRefused) -> None:
        """The provider wants to be left alone, or cannot answer: all polling waits."""
        self._stumbles += 1
        asked_to = getattr(error, "retry_after", None) or isinstance(error, ProviderRefused)
        if not asked_to and self._stumbles < STUMBLES_MOST:
            return
        wait = min(getattr(error, "retry_after", None) or PAUSE, PAUSE_MOST)
        if not self.paused:
            log.warning("poll.paused", error=str(error), seconds=wait)
        self._paused_until = max(self._paused_until, time.monotonic() + wait)


async def give_up(settings: Settings, ledger: Ledger, item: DuePoll) -> None:
    """Expire what is past its deadline, which needs no answer of anybody."""
    if clock.now() - item.known_at > settings.deadline:
        await expire(settings, ledger, item.ref, Reason.DEADLINE)


async def expire(settings: Settings, ledger: Ledger, ref: Ref, reason: Reason) -> None:
    """End what is awaited in vain, and tell so."""
    record = await ledger.reading.record(ref)
    if record is None or record.stage is not Stage.AWAITED:
        return
    now = clock.now()
    public = record.public() | {
        "stage": Stage.EXPIRED,
        "reason": reason,
        "finished_at": clock.rfc3339(now),
    }
    told = events.of_prediction(ref, record.generation, public, settings.hooks, now)
    with telling.beginning("expire", ref) as span:
        span.say("catchlight.reason", reason)
        end = Commit(Stage.EXPIRED, reason, events=told)
        written = await ledger.predictions.commit(ref, Stage.AWAITED, "", end)
        telling.told(record, told if written else ())
    log.info("prediction.expired", prediction=str(ref), reason=reason, written=written)


def older(reports: Sequence[Report], instant: float) -> bool:
    """Does a page, newest first, end before `instant`?"""
    last = reports[-1].created_at
    return last is not None and last < instant
