"""How long one waits for somebody: so many seconds of silence, and in all until a deadline.

One timer looks after a whole download. It is set anew only when it goes off: a timer for every chunk would
cost as much as the chunk.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Patience:
    """An asynchronous context manager: when it comes to its end the block is cancelled with TimeoutError.

    `idle` in seconds; `deadline` is an instant of the loop's clock. It runs between `wait` and `heard` only.
    """

    def __init__(self, idle: float, deadline: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle = idle
        self.deadline = deadline
        self._until = math.inf
        self._cut = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def lost(self) -> bool:
        return self._cut.expired()

    async def __aenter__(self) -> Self:
        await self._cut.__aenter__()
        self._look()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        await self._cut.__aexit__(kind, error, trace)

    def wait(self) -> float:
        """From now on; the instant."""
        now = self._loop.time()
        self._until = min(now + self._idle, self.deadline)
        return now

    def heard(self) -> float:
        """Somebody said something; the instant."""
        self._until = math.inf
        return self._loop.time()

    def _look(self) -> None:
        now = self._loop.time()
        if now >= self._until:
            self._cut.reschedule(now)
            return
        # Nobody who begins to wait after this look comes to his end before the next one.
        later = min(self._until, now + self._idle)
        if now < self.deadline:
            later = min(later, self.deadline)
        self._timer = self._loop.call_at(later, self._look)
