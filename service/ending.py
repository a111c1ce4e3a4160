"""Ending tasks for good: a library between us and the loop may swallow one cancellation, and does."""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN_AFTER = 0.5
"""Seconds after which a task that goes on is cancelled again."""


async def end(*tasks: asyncio.Task[Any], again_after: float = AGAIN_AFTER) -> None:
    """Cancel until it takes, every `again_after` seconds: more for tasks that have things to put away.

    What the tasks raise is theirs: look at them afterwards if it matters.

    asyncio.timeout of Python 3.11, and so redis-py, loses a cancellation that comes in the same turn of the
    loop as what it waits for.
    """
    while running := {task for task in tasks if not task.done()}:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=again_after)
