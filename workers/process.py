"""One prediction from its completion to its end: lease, judge, fetch, keep, manifest, commit.

Every effect may be done twice with the result of once: keys are deterministic, a commit is compare-and-set,
and an event's id is a function of what it tells.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import random
from typing import TYPE_CHECKING

import structlog
from structlog.contextvars import bound_contextvars

from service import failpoints
from service.durations import jittered
from service.errors import NotFound, TryLater
from service.ledger import Commit, Note
from service.moderation import Action
from service.prediction import TERMINAL, Disposition, Reason, Stage, Step, Verdict
from service.tracing import telling
from workers import alone, manifest, payload, review
from workers.commits import failed_round, final, given_up, handed_back
from workers.keep import expire, fetch_and_keep, withdraw
from workers.outage import written
from workers.outputs import Settled, judge, only_fetches, plan, settle
from workers.room import COME_BACK, NoRoom
from workers.workshop import OUTPUTS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ledger import PredictionRecord
    from service.prediction import Ref
    from workers.outputs import Output
    from workers.workshop import Workshop

    Notes = list[Note]

log = structlog.get_logger("work")

MOST_CRASHES_ALONE = 3
MOST_CRASHES = 10
"""Should it take its parent down with it, nobody is left to say that it was alone."""
CANNOT_START = 2
"""Exit code of a child that refuses its settings: no crash, and not the prediction's doing."""
ALONE_MARGIN = 60.0
"""Seconds that a suspect has beyond the time that its downloads may take."""


async def process(shop: Workshop, ref: Ref) -> None:
    """Nothing to do when it is not `accepted`: a job may ring twice. Raises what is a bug, once noted."""
    with bound_contextvars(prediction=str(ref)):
        await failpoints.reach("lease.before")
        if shop.room.short and await _put_off(shop, ref):
            return
        record = await shop.ledger.predictions.lease(ref, shop.leases.seconds, shop.name)
        if record is not None:
            async with shop.leases.holding(record):
                with telling.working(record):
                    await _take(shop, record)


async def _take(shop: Workshop, record: PredictionRecord) -> None:
    await failpoints.reach("lease.taken", record.model)
    if record.alone and not _crashed_too_often(record):
        await _alone(shop, record)
    else:
        await work(shop, record)


async def _put_off(shop: Workshop, ref: Ref) -> bool:
    """Whatever only fetches to where no room is: leases for all of it, again and again, would make none."""
    record = await shop.ledger.reading.record(ref)
    if record is None or record.corrupt or record.verdict is not Verdict.COMPLETED:
        return False
    if _crashed_too_often(record):
        return False
    outputs = plan(record, _values(record))
    if review.is_due(record, outputs):
        return False
    places = only_fetches(outputs, record.model, shop.policy.of(ref.source))
    lacking = [shop.room.lacking(held=held) for held in places]
    if not lacking or not all(lacking):
        return False
    await shop.ledger.predictions.postpone(ref, COME_BACK, f"no room: {lacking[0]}")
    return True


async def _alone(shop: Workshop, record: PredictionRecord) -> None:
    rounds = math.ceil(len(_values(record)) / min(OUTPUTS_AT_ONCE, shop.settings.fetch_per_host))
    outputs = plan(record, _values(record))
    # The child holds the lease too, and stops when it is lost; to us its commit would look like a loss.
    shop.leases.ending(record.ref)
    try:
        code = await alone.run(record.ref, record.token, rounds * shop.settings.fetch_timeout + ALONE_MARGIN)
    except asyncio.CancelledError:
        # The child has handed back what it had, or was killed before it could.
        await _commit(shop, record, handed_back(record, outputs))
        raise
    if code == CANNOT_START:
        await _commit(shop, record, failed_round(shop, record, outputs, "its own process could not start"))
        return
    # Asked whatever the code is: a child that has committed holds it no longer.
    if await written(lambda: shop.ledger.predictions.crashed(record.ref, record.token), str(record.ref)):
        log.warning("prediction.crashed", worker=shop.name, alone=True, exit_code=code)


def _crashed_too_often(record: PredictionRecord) -> bool:
    return record.crashes_alone >= MOST_CRASHES_ALONE or record.crashes >= MOST_CRASHES


async def work(shop: Workshop, record: PredictionRecord) -> None:
    """Do the work of a leased prediction and commit how it ended."""
    outputs: list[Output] = []
    try:
        outputs += plan(record, _values(record))
        commit = await _decide(shop, record, outputs)
    except asyncio.CancelledError:
        # A stop, or the lease is gone; in the second case the ledger refuses this.
        await _commit(shop, record, handed_back(record, outputs))
        raise
    except TryLater as error:
        commit = failed_round(shop, record, outputs, str(error))
    except Exception as error:
        # The job edge: one prediction's bug is retried on its own schedule and seen in RQ's failed jobs.
        await _commit(shop, record, failed_round(shop, record, outputs, f"a bug: {type(error).__name__}"))
        raise
    await _commit(shop, record, commit)


def _values(record: PredictionRecord) -> Sequence[object]:
    if not record.payload:
        # It stands in the manifest alone; by then every output had its disposition.
        return [output.get("url") for output in record.outputs]
    said = record.payload.get("outputs")
    if said is None:
        return ()
    return said if isinstance(said, list) else (said,)


async def _decide(shop: Workshop, record: PredictionRecord, outputs: list[Output]) -> Commit:
    notes: Notes = []
    if _crashed_too_often(record):
        return given_up(shop, record, outputs, Reason.CRASHES_EXHAUSTED)
    if was := payload.due(record):
        return await payload.drop(shop, record, was)
    if record.verdict is not Verdict.COMPLETED:
        reason = record.said_reason or Reason.PROVIDER_FAILED
        failed = final(shop, record, Settled(Stage.FAILED, reason), [], notes, error=record.said_error)
        await manifest.leave(shop, record, failed)
        return failed
    try:
        async with shop.room.excusing():
            return await _attempt(shop, record, outputs, notes)
    except NoRoom as error:
        # Not a failure: what the schedule has left is for those.
        kept = [output.stored() for output in outputs]
        wait = jittered(error.wait, random.random())
        return Commit(
            Stage.ACCEPTED, error=str(error), outputs=kept, failures=record.failures, due_in=wait, notes=notes
        )


async def _attempt(
    shop: Workshop, record: PredictionRecord, outputs: Sequence[Output], notes: Notes
) -> Commit:
    problems = await _round(shop, record, outputs, notes)
    failures = record.failures + (1 if any(output.open for output in outputs) else 0)
    decision = settle(outputs, failures, shop.settings.fetch_schedule)
    error = "; ".join(problems)[:500]
    if isinstance(decision, Settled):
        end = final(shop, record, decision, outputs, notes, error=error)
        await failpoints.reach("manifest.before")
        await manifest.write(shop, record, outputs, end)
        await failpoints.reach("manifest.after")
        return dataclasses.replace(end, manifest=True)
    wait = jittered(decision.wait, random.random())
    kept = [output.stored() for output in outputs]
    return Commit(Stage.ACCEPTED, outputs=kept, failures=failures, due_in=wait, notes=notes, error=error)


async def _round(
    shop: Workshop, record: PredictionRecord, outputs: Sequence[Output], notes: Notes
) -> list[str]:
    """Judge and fetch everything that is open, side by side. Returns what went wrong, for people."""
    places = asyncio.Semaphore(OUTPUTS_AT_ONCE)

    async def one(output: Output) -> str | None:
        async with places:
            await _check(shop, record, output)
            return await _treat(shop, record, output, notes)

    notes.append(
        Note(Step.JUDGED, ", ".join(f"{one.index} {one.nsfw}" for one in outputs)[:300] or "no outputs")
    )
    # All come to their end, also at a stop or an error: none may go on writing behind a commit.
    results = await asyncio.gather(*map(one, outputs), return_exceptions=True)
    # A bug comes first: it would hide behind a disk that stays full.
    for result in sorted(results, key=lambda result: isinstance(result, NoRoom)):
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, str)]


async def _check(shop: Workshop, record: PredictionRecord, output: Output) -> None:
    """A replay believes its eyes: what somebody removed from storage is fetched again."""
    looked_for = output.disposition in (Disposition.STORED, Disposition.RELEASED, Disposition.HELD)
    if record.replaying and looked_for and output.key:
        held = output.disposition is Disposition.HELD
        if not await shop.vault.exists(output.key, held=held):
            output.reopen()


async def _treat(shop: Workshop, record: PredictionRecord, output: Output, notes: Notes) -> str | None:
    action = await _judged(shop, record, output, notes)
    problem = None
    if output.open:
        with telling.fetching(output.index, output.url or "") as span:
            problem = await fetch_and_keep(
                shop, record, output, hold=action is not Action.RELEASE, notes=notes
            )
            telling.fetched(span, output.media_type, output.bytes, problem)
    await review.carry_out(shop, record, output, notes)
    await expire(shop, record, output, notes)
    return problem


async def _judged(shop: Workshop, record: PredictionRecord, output: Output, notes: Notes) -> Action:
    policy = shop.policy.of(record.ref.source)
    with telling.judging(output.index, output.nsfw) as span:
        action = judge(output, record.model, policy)
        if output.disposition is Disposition.STORED and action is not Action.RELEASE and output.key:
            # A stricter duplicate came after the file was stored.
            try:
                await withdraw(shop, output, output.key, output.nsfw, notes)
            except NotFound:
                output.reopen()
            action = judge(output, record.model, policy)
        span.say("catchlight.action", action)
    return action


async def _commit(shop: Workshop, record: PredictionRecord, commit: Commit) -> None:
    """Through an outage of Redis if need be: the work is done, and only a lost lease makes it void."""
    await failpoints.reach("commit.before")
    shop.leases.ending(record.ref)
    held, token, before = shop.ledger.predictions, record.token, record.outputs
    with telling.committing(commit) as span:
        kept = await written(
            lambda: held.commit(record.ref, Stage.WORKING, token, commit, before), str(record.ref)
        )
        span.say("catchlight.superseded", None if kept else "by another lease")
        telling.told(record, commit.events if kept else ())
    await failpoints.reach("commit.after")
    shop.meter.count("predictions", int(kept and commit.to in TERMINAL))
    if commit.events:
        await failpoints.reach("outbox.after")
    held_for = shop.leases.held_for(record.ref)
    log.info(
        "prediction.committed" if kept else "prediction.superseded",
        model=record.model,
        stage=commit.to,
        reason=commit.reason,
        attempt=record.attempts,
        outputs=len(commit.outputs or ()),
        events=len(commit.events),
        error=commit.error or None,
        ms=None if held_for is None else round(held_for * 1000),
    )
