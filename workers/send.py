"""One signed POST to one hook, and what came of it."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import httpx

from service import clock, signing
from workers.guard import GuardRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from service.hooks import Hook

ANSWER_MOST = 64 * 1024
ANSWER_KEPT = 1024
"""Bytes of an answer that are put on record."""
_REDACTED = 4 * 1024
"""Bytes beyond those that are looked through for secrets: the longest header."""


class Answer(NamedTuple):
    """What came of one attempt. A hook's 500 is an outcome, not an exception."""

    status: int | None
    """None when no answer came."""
    error: str = ""
    retry_after: str | None = None
    refused: bool = False
    """Our own guard said no: trying again would not change that."""
    body: str = ""
    """How it begins, on one line, and without any secret of the hook's that it repeats."""

    settled: bool = False
    """Taken by a stream, and written down together with that."""

    @property
    def taken(self) -> bool:
        return self.settled or (self.status is not None and httpx.codes.is_success(self.status))


async def send(
    client: httpx.AsyncClient,
    hook: Hook,
    event_id: str,
    body: bytes,
    trace: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """`client` is a guarded one; `trace` are headers. Whatever happens on the way is an answer."""
    signed = signing.sign(hook.secrets, event_id, int(clock.now()), body)
    # Ours come last: whatever an operator has set, the message stays a signed one.
    headers = hook.headers | dict(trace) | signed | {"content-type": "application/json"}
    answer, begins = None, bytearray()
    try:
        async with (
            asyncio.timeout(hook.timeout),
            client.stream("POST", hook.url, content=body, headers=headers) as response,
        ):
            answer = _answer(response)
            await _read_some(response.aiter_raw(), begins)
    except GuardRefused as refusal:
        return Answer(None, f"{refusal.word}: {refusal}", refused=True)
    except TimeoutError:
        answer = answer or Answer(None, f"no answer within {hook.timeout:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError) as failure:
        answer = answer or Answer(None, f"the connection failed ({_cause(failure)})")
    return answer._replace(body=_shown(bytes(begins), hook))


def _answer(response: httpx.Response) -> Answer:
    error = "" if response.is_success else f"answered {response.status_code}"
    return Answer(response.status_code, error, response.headers.get("retry-after"))


async def _read_some(chunks: AsyncIterator[bytes], begins: bytearray) -> None:
    """A body means something to people only; reading a little more lets the connection be used again."""
    size = 0
    async for chunk in chunks:
        begins += chunk[: ANSWER_KEPT + _REDACTED - len(begins)]
        size += len(chunk)
        if size >= ANSWER_MOST:
            return


def _shown(begins: bytes, hook: Hook) -> str:
    """A stranger's bytes as text that can be stored and shown."""
    text = begins.decode("utf-8", "replace")
    for secret in (*hook.secrets, *hook.headers.values()):
        text = text.replace(secret, "…")
    line = "".join(char if char.isprintable() else " " for char in text)
    return line.encode()[:ANSWER_KEPT].decode("utf-8", "ignore").strip()


def _cause(error: BaseException) -> str:
    """The class of what was at the bottom of it: an error's text may quote the URL, which may hold a key."""
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__
