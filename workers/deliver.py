"""One attempt of one delivery: taken, signed, sent, and written down with what was decided of the answer."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import structlog
from structlog.contextvars import bound_contextvars

from service import clock, failpoints
from service.effort.told import HOOK, TURNED_BY_PLACES, TURNED_BY_RATE
from service.hooks import Dead, Delivered, Parked, Retry, asked_wait, decide, decide_probe
from service.tracing import telling
from workers.outage import written
from workers.send import Answer, send

if TYPE_CHECKING:
    from service.hooks import Hook
    from service.ledger import DeliveryRecord
    from workers.workshop import Workshop

log = structlog.get_logger("deliver")

LEASE_MARGIN = 10.0
"""Seconds beyond the longest time-out that an attempt may take before another process takes it over."""


async def deliver(shop: Workshop, delivery_id: str) -> None:
    """Nothing to do when it is delivered, dead, parked or in other hands: a job may ring twice."""
    longest = max((hook.timeout for hook in shop.hooks.values()), default=0.0)
    delivery = await shop.ledger.deliveries.take(delivery_id, longest + LEASE_MARGIN)
    if delivery is None:
        return
    # What tells of a hook is of no prediction.
    about = {"prediction": str(delivery.ref)} if delivery.ref.source else {}
    with bound_contextvars(delivery=delivery.id, hook=delivery.hook, event_kind=delivery.event, **about):
        await _try(shop, delivery)


async def _try(shop: Workshop, delivery: DeliveryRecord) -> None:
    await failpoints.reach("deliver.taken")
    hook = shop.hooks.get(delivery.hook)
    if hook is None:
        why = "the hook is no longer configured"
        await written(lambda: shop.ledger.deliveries.give_up(delivery, why), delivery.id)
        log.warning("delivery.given_up", why=why)
        return
    gate = shop.gates[hook.name]
    # One slow hook never fills the worker: the others' deliveries and all fetching go on.
    if wait := gate.enter(shop.monotonic()):
        if not gate.open:
            shop.meter.count(f"{TURNED_BY_PLACES if gate.crowded else TURNED_BY_RATE}{hook.name}")
        # Not one by one, for as long as it is down: what waits would be as much work as what is delivered.
        await (_park(shop, delivery) if gate.open else _give_back(shop, delivery, wait))
        return
    began, failed, asked, probe = shop.monotonic(), True, 0.0, gate.open
    try:
        await failpoints.reach("deliver.before_send")
        with shop.meter.inside(HOOK + hook.name):
            answer = await _attempted(shop, hook, delivery)
        failed = not answer.taken
        asked = asked_wait(answer.status, answer.retry_after, clock.now())
    except asyncio.CancelledError:
        await _give_back(shop, delivery, 0.0)
        raise
    finally:
        took = shop.monotonic() - began
        gate.leave(shop.monotonic(), took, failed=failed, asked=asked)
        shop.gathering.observe("delivery", took, hook.name)
        shop.meter.count("attempts")
    if not failed:
        await failpoints.reach("deliver.after_2xx")
    await _settle(shop, delivery, answer, took, probe=probe)
    await failpoints.reach("deliver.after_write")


async def _attempted(shop: Workshop, hook: Hook, delivery: DeliveryRecord) -> Answer:
    with telling.delivering(delivery, hook) as span:
        if hook.is_stream:
            answer = await _written(shop, hook, delivery)
        else:
            body = delivery.body.encode()
            answer = await send(shop.hook_client, hook, delivery.event_id, body, span.headers())
        telling.attempted(span, answer.status, answer.error, taken=answer.taken)
    return answer


async def _settle(
    shop: Workshop, delivery: DeliveryRecord, answer: Answer, took: float, *, probe: bool
) -> None:
    decision = _decided(shop, delivery, answer, probe=probe)
    if not answer.settled:
        await _write(shop, delivery, decision, answer, took)
    if isinstance(decision, Dead) and decision.disable:
        fix = f"mend it, then `catchlight hooks enable {delivery.hook}`: until then its deliveries wait"
        log.warning("hook.disabled", why=decision.reason, fix=fix)
    log.info(
        "delivery.attempted",
        attempt=delivery.attempts + 1,
        probe=probe or None,
        status=answer.status,
        error=answer.error or None,
        decision=type(decision).__name__.lower(),
        ms=round(took * 1000),
    )


def _decided(
    shop: Workshop, delivery: DeliveryRecord, answer: Answer, *, probe: bool
) -> Delivered | Retry | Parked | Dead:
    schedule = shop.settings.hook_schedule
    if answer.settled:
        return Delivered()
    if answer.refused:
        return Dead(answer.error, disable=False)
    if probe:
        return decide_probe(answer.status, answer.error, delivery.failing_for, schedule)
    attempt, now, fraction = delivery.attempts + 1, clock.now(), random.random()
    return decide(answer.status, answer.error, answer.retry_after, attempt, schedule, now, fraction)


async def _write(
    shop: Workshop,
    delivery: DeliveryRecord,
    decision: Delivered | Retry | Parked | Dead,
    answer: Answer,
    took: float = 0.0,
) -> None:
    """Through an outage of Redis if need be: forgotten, it would be sent a second time."""
    now = clock.now()
    await written(
        lambda: shop.ledger.deliveries.attempted(
            delivery,
            decision,
            status=answer.status,
            error=answer.error,
            now=now,
            ms=round(took * 1000),
            answer=answer.body,
        ),
        delivery.id,
    )


async def _written(shop: Workshop, hook: Hook, delivery: DeliveryRecord) -> Answer:
    """To a stream, and settled with it: a worker that dies here has written both or none."""
    began = shop.monotonic()
    error = await written(
        lambda: shop.ledger.streams.deliver(delivery, hook, round((shop.monotonic() - began) * 1000)),
        delivery.id,
    )
    return Answer(None, f"the stream does not take it ({error})") if error else Answer(None, settled=True)


async def _park(shop: Workshop, delivery: DeliveryRecord) -> None:
    """Untried, until its hook takes something."""
    await written(lambda: shop.ledger.deliveries.park(delivery), delivery.id)


async def _give_back(shop: Workshop, delivery: DeliveryRecord, wait: float) -> None:
    """Untried, for `wait` seconds."""
    await written(lambda: shop.ledger.deliveries.postpone(delivery, wait), delivery.id)
