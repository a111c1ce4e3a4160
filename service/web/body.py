"""A request's body, read whole: counted while it comes, within one deadline however steadily it drips."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.refusals import RefusedFor
from service.web.problems import Closing, Problem, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Message, Receive, Scope

DEADLINE = 15.0
"""Seconds from the end of the headers to the end of the body."""


BODY_IS_HERE = "catchlight.body_is_here"
"""In the scope: says whether all of the body has come, as it has with nearly every callback."""


async def read(scope: Scope, receive: Receive, most: int, deadline: float = DEADLINE) -> bytes:
    """At most `most` bytes. Raises Refusal: 413, 408, or a 400 that nobody sees when the sender hung up."""
    if (announced(scope["headers"]) or 0) > most:
        raise _too_large(most)
    if (is_here := scope.get(BODY_IS_HERE)) and is_here():
        # A deadline costs more than the reading, and nobody is waited for.
        return _part(await receive(), 0, most)
    body = bytearray()
    more = True
    try:
        async with asyncio.timeout(deadline):
            while more:
                message = await receive()
                body += _part(message, len(body), most)
                more = message.get("more_body", False)
    except TimeoutError:
        detail = f"a body has {deadline:g} seconds"
        answer = Problem(408, RefusedFor.TOO_SLOW, detail, {"Connection": "close"})
        raise Refusal(answer, size=len(body)) from None
    return bytes(body)


def _part(message: Message, came: int, most: int) -> bytes:
    """After `came` bytes. Raises Refusal."""
    if message["type"] == "http.disconnect":
        raise Refusal(Problem(400, RefusedFor.GONE, "the sender hung up"), size=came)
    part: bytes = message.get("body", b"")
    if came + len(part) > most:
        raise _too_large(most, came + len(part))
    return part


def announced(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Bytes, as the head promises them; None for a body in chunks."""
    return next((int(value) for name, value in headers if name == b"content-length"), None)


def _too_large(most: int, size: int | None = None) -> Refusal:
    return Refusal(Closing(413, RefusedFor.TOO_LARGE, f"a body has at most {most} bytes"), size=size)
