"""One download through the real client, as a worker would make it, and what became of it."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from service.errors import CatchlightError
from tests import origin
from workers.fetch import Limits, open_download
from workers.flight import Flight
from workers.guard import Guard, GuardedSession

if TYPE_CHECKING:
    from tests.origin import Script

GUARD = Guard(hosts=("127.0.0.1",), private=(ip_network("127.0.0.0/8"),))
LIMITS = Limits(total=5, idle=0.3)
FLIGHT = Flight(most=1 << 40, per_host=1000)
"""In which nobody waits."""


async def download(url: str, limits: Limits = LIMITS, guard: Guard = GUARD) -> bytes:
    """The whole body."""
    async with (
        GuardedSession(guard, connections=4) as session,
        open_download(session, url, limits, FLIGHT) as found,
    ):
        return b"".join([part async for part in found])


def outcome(
    script: Script, limits: Limits = LIMITS, others: dict[str, Script] | None = None
) -> CatchlightError | bytes:
    """Of one download from an origin that plays `script`, and `others` by their paths."""

    async def story() -> CatchlightError | bytes:
        async with origin.running({"/x": script, **(others or {})}) as server:
            try:
                return await download(server.url("/x"), limits)
            except CatchlightError as error:
                return error

    return asyncio.run(story())


def word(found: CatchlightError | bytes) -> Any:
    return getattr(found, "word", type(found).__name__)
