"""Sends callbacks as the provider does: signed afresh for every try, retried until somebody says 2xx."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx

from service import clock
from service.simulator import signature
from service.simulator.plot import Kind, Letter
from service.simulator.truth import Sent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_PATIENCE = httpx.Timeout(10.0, pool=None)
"""Seconds; the provider's real patience is reported as anything from 5 s to 20 minutes."""
_REMEMBERED = 500
"""Characters of an answer."""
_WRONG_SECRET = "whsec_not-the-secret"  # noqa: S105 - the forger's guess, which must not verify


async def post(
    client: httpx.AsyncClient,
    url: str,
    secrets: Sequence[str],
    letter: Letter,
    payload: dict[str, Any],
    *,
    attempt: int = 1,
) -> Sent:
    """One try."""
    at = clock.now()
    body = json.dumps(payload | letter.changes, separators=(",", ":")).encode()
    keys = [_WRONG_SECRET] if letter.kind is Kind.FORGED else secrets
    headers = signature.headers(keys, letter.message, int(at - letter.age), body)
    try:
        answer = await client.post(url, content=body, headers=headers, timeout=_PATIENCE)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Sent(at, letter.kind, attempt, None, error=type(error).__name__)
    return Sent(at, letter.kind, attempt, answer.status_code, answer.text[:_REMEMBERED])


async def deliver(
    client: httpx.AsyncClient,
    url: str,
    secrets: Sequence[str],
    letter: Letter,
    payload: dict[str, Any],
    *,
    retries: int,
    retry_base: float,
) -> AsyncIterator[Sent]:
    """Up to 1 + `retries` tries, `retry_base` seconds and then twice as long between them."""
    # Nobody who forges a callback waits to be refused again.
    tries = 1 if letter.kind is Kind.FORGED else 1 + retries
    for attempt in range(1, tries + 1):
        sent = await post(client, url, secrets, letter, payload, attempt=attempt)
        yield sent
        if sent.taken or attempt == tries:
            return
        await asyncio.sleep(retry_base * 2 ** (attempt - 1))
