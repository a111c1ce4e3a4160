"""A signed callback that names no prediction: it proves the way and the secret, and leaves nothing behind.

A receiver verifies before it parses: that it calls the body no prediction means that the signature held.
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import NamedTuple

import aiohttp
import httpx

from service import clock, wavespeed
from service.refusals import RefusedFor
from service.simulator.signature import headers

_BODY = b'{"catchlight":"connect"}'


class Result(StrEnum):
    VERIFIED = "verified"
    REFUSED = "refused"
    """Somebody answered, and it was not a receiver with this secret."""
    UNREACHED = "unreached"
    SKIPPED = "skipped"


class Answered(NamedTuple):
    to: str | None
    result: Result
    detail: str


async def call_back(url: str, secret: str) -> Answered:
    """One attempt, without redirects, as the provider makes it."""
    message = f"connect-{uuid.uuid4().hex[:12]}"
    signed = headers([secret], message, int(clock.now()), _BODY)
    try:
        async with wavespeed.open_http() as http:
            answer = await http.post(url, content=_BODY, headers=signed)
            reason = _reason(answer)
    except (httpx.HTTPError, aiohttp.ClientError, TimeoutError, OSError) as error:
        return Answered(url, Result.UNREACHED, type(error.__cause__ or error).__name__)
    if reason == RefusedFor.UNPARSEABLE:
        return Answered(url, Result.VERIFIED, "")
    if reason == RefusedFor.SIGNATURE:
        return Answered(url, Result.REFUSED, "`serve` runs with other secrets: restart it")
    if reason == RefusedFor.UNKNOWN_SOURCE:
        return Answered(url, Result.REFUSED, "`serve` knows no such path: declare the source, restart it")
    return Answered(url, Result.REFUSED, f"answered {answer.status_code}, which is not our receiver's word")


def _reason(answer: httpx.Response) -> str:
    try:
        said = answer.json()
    except ValueError:
        return ""
    return str(said.get("reason", "")) if isinstance(said, dict) else ""
