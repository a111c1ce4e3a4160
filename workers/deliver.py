"""One attempt of one delivery: taken, signed, sent, and written down with what was decided of the answer."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import structlog

from service import clock, failpoints
from service.hooks import Dead, Delivered, Retry, decide
from workers.outage import written
from workers.send import Answer, send

if TYPE_CHECKING:
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
    await failpoints.reach("deliver.taken")
    hook = shop.hooks.get(delivery.hook)
    if hook is None:
        error = "the hook is no longer configured"
        await _write(shop, delivery, Dead(error, disable=False), Answer(None, error))
        return
    gate = shop.gates[hook.name]
    # One slow hook never fills the worker: the others' deliveries and all fetching go on.
    if wait := gate.enter(time.monotonic()):
        await _give_back(shop, delivery, wait)
        return
    began, failed = time.monotonic(), True
    try:
        await failpoints.reach("deliver.before_send")
        answer = await send(shop.hook_client, hook, delivery.event_id, delivery.body.encode())
        failed = not answer.taken
    except asyncio.CancelledError:
        await _give_back(shop, delivery, 0.0)
        raise
    finally:
        took = time.monotonic() - began
        gate.leave(time.monotonic(), took, failed=failed)
    if not failed:
        await failpoints.reach("deliver.after_2xx")
    await _settle(shop, delivery, answer, took)
    await failpoints.reach("deliver.after_write")


async def _settle(shop: Workshop, delivery: DeliveryRecord, answer: Answer, took: float) -> None:
    attempt = delivery.attempts + 1
    schedule = shop.settings.hook_schedule
    decision = (
        Dead(answer.error, disable=False)
        if answer.refused
        else decide(
            answer.status, answer.error, answer.retry_after, attempt, schedule, clock.now(), random.random()
        )
    )
    await _write(shop, delivery, decision, answer)
    if isinstance(decision, Dead) and decision.disable:
        fix = f"mend it, then `catchlight hooks enable {delivery.hook}`: until then its deliveries wait"
        log.warning("hook.disabled", hook=delivery.hook, why=decision.reason, fix=fix)
    log.info(
        "delivery.attempted",
        delivery=delivery.id,
        event_kind=delivery.event,
        prediction=str(delivery.ref),
        hook=delivery.hook,
        attempt=attempt,
        status=answer.status,
        error=answer.error or None,
        decision=type(decision).__name__.lower(),
        ms=round(took * 1000),
    )


async def _write(
    shop: Workshop, delivery: DeliveryRecord, decision: Delivered | Retry | Dead, answer: Answer
) -> None:
    """Through an outage of Redis if need be: forgotten, it would be sent a second time."""
    now = clock.now()
    await written(
        lambda: shop.ledger.deliveries.attempted(
            delivery, decision, status=answer.status, error=answer.error, now=now
        ),
        delivery.id,
    )


async def _give_back(shop: Workshop, delivery: DeliveryRecord, wait: float) -> None:
    """Untried, for `wait` seconds."""
    await written(lambda: shop.ledger.deliveries.postpone(delivery, wait), delivery.id)
