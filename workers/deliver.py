"""One attempt of one delivery: taken, signed, sent, and written down with what was decided of the answer."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import httpx
import structlog

from service import clock, failpoints, signing
from service.hooks import Dead, Delivered, Retry, decide
from workers.guard import GuardRefused
from workers.outage import written

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.hooks import Hook
    from service.ledger import DeliveryRecord
    from workers.workshop import Workshop

log = structlog.get_logger("deliver")

ANSWER_MOST = 64 * 1024
LEASE_MARGIN = 10.0
"""Seconds beyond the longest time-out that an attempt may take before another process takes it over."""


class Answer(NamedTuple):
    """What came of one attempt. A hook's 500 is an outcome, not an exception."""

    status: int | None
    """None when no answer came."""
    error: str = ""
    retry_after: str | None = None
    refused: bool = False
    """Our own guard said no: trying again would not change that."""


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
        answer = await _send(shop.hook_client, hook, delivery)
        failed = answer.status is None or not httpx.codes.is_success(answer.status)
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


async def _send(client: httpx.AsyncClient, hook: Hook, delivery: DeliveryRecord) -> Answer:
    body = delivery.body.encode()
    headers = signing.sign(hook.secrets, delivery.event_id, int(clock.now()), body)
    headers["content-type"] = "application/json"
    answer = None
    try:
        async with (
            asyncio.timeout(hook.timeout),
            client.stream("POST", hook.url, content=body, headers=headers) as response,
        ):
            answer = _answer(response)
            await _read_some(response.aiter_raw())
    except GuardRefused as refusal:
        return Answer(None, f"{refusal.word}: {refusal}", refused=True)
    except TimeoutError:
        return answer or Answer(None, f"no answer within {hook.timeout:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError) as failure:
        return answer or Answer(None, f"the connection failed ({_cause(failure)})")
    return answer


def _answer(response: httpx.Response) -> Answer:
    error = "" if response.is_success else f"answered {response.status_code}"
    return Answer(response.status_code, error, response.headers.get("retry-after"))


async def _read_some(chunks: AsyncIterator[bytes]) -> None:
    """An answer's body means nothing to us; reading a little lets the connection be used again."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size >= ANSWER_MOST:
            return


def _cause(error: BaseException) -> str:
    """The class of what was at the bottom of it: an error's text may quote the URL, which may hold a key."""
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__
