"""A request's body, read whole: counted while it comes, within one deadline however steadily it drips."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.web.problems import Closing, Problem, Refusal

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

DEADLINE = 15.0
"""Seconds from the end of the headers to the end of the body."""


async def read(scope: Scope, receive: Receive, most: int, deadline: float = DEADLINE) -> bytes:
    """At most `most` bytes. Raises Refusal: 413, 408, or a 400 that nobody sees when the sender hung up."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > most:
            raise _too_large(most)
    body = bytearray()
    more = True
    try:
        async with asyncio.timeout(deadline):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(Problem(400, "gone", "the sender hung up"))
                body += message.get("body", b"")
                if len(body) > most:
                    raise _too_large(most)
                more = message.get("more_body", False)
    except TimeoutError:
        answer = Problem(408, "too_slow", f"a body has {deadline:g} seconds", {"Connection": "close"})
        raise Refusal(answer) from None
    return bytes(body)


def _too_large(most: int) -> Refusal:
    return Refusal(Closing(413, "too_large", f"a body has at most {most} bytes"))
