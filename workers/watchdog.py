"""Ends this process when its loop hangs: what spins renews no lease, and would be a worker lost for good."""

from __future__ import annotations

import asyncio
import faulthandler
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASES = 2.5
LEAST = 10.0
"""Seconds: a crowded machine may hold up a loop for a while."""
_LOOKS = 4


def patience(lease: float) -> float:
    """After so many leases without a turn of the loop nothing that it holds is its own any more."""
    return max(LEAST, LEASES * lease)


@contextmanager
def watching(seconds: float) -> Iterator[None]:
    """While the block lasts: a loop that stands still for so long prints its stacks and exits with 1.

    By a thread in C, which needs no turn of the interpreter: code that never lets go of it is ended too.
    """
    looking = asyncio.create_task(_look(seconds))
    try:
        yield
    finally:
        looking.cancel()
        faulthandler.cancel_dump_traceback_later()


async def _look(seconds: float) -> None:
    while True:
        faulthandler.dump_traceback_later(seconds, exit=True)
        await asyncio.sleep(seconds / _LOOKS)
