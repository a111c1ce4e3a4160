"""What is live: one event stream for every page that is looked at, which says that something has changed.

It carries no data. A page that hears of a change reads its own address again, so that what it shows by itself
and what it shows live cannot differ. However much happens, it is told once a second.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from sse_starlette import EventSourceResponse
from sse_starlette.sse import AppStatus
from starlette.routing import Route

from service import clock
from service.ending import end
from service.errors import LedgerDown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.ledger import Ledger

BEAT = 1.0
"""Seconds between two looks at the ledger, while anybody listens."""
_UNREAD_MOST = 2
_AT_LEAST = 10
"""Beats after which a page is to look again even so: not everything that it shows is counted."""

# Our server ends the streams itself, before it waits for what is in flight.
AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # it has no annotations


class Live:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._listeners: set[asyncio.Queue[str | None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._is_closing = False
        self._answered_at: float | None = None

    @property
    def answered_at(self) -> float | None:
        """When Redis answered this process last, as far as anybody looked: its beat does, all the time."""
        known = [at for at in (self._answered_at, self._ledger.roles.answered_at) if at is not None]
        return max(known, default=None)

    def routes(self) -> Sequence[Route]:
        return (Route("/live", self.stream, methods=["GET"]),)

    async def stream(self, _: Request) -> Response:
        return EventSourceResponse(self._events(), ping=15)

    def close(self) -> None:
        """End all streams: a server that drains waits for none of them."""
        self._is_closing = True
        for listener in self._listeners:
            listener.put_nowait(None)

    async def aclose(self) -> None:
        self.close()
        if self._watch is not None:
            await end(self._watch)

    async def _events(self) -> AsyncIterator[dict[str, str]]:
        mine: asyncio.Queue[str | None] = asyncio.Queue()
        if self._is_closing:
            return
        self._listeners.add(mine)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())
        try:
            while (word := await mine.get()) is not None and not self._is_closing:
                yield {"event": word, "data": json.dumps({"at": clock.rfc3339(clock.now())})}
        finally:
            self._listeners.discard(mine)

    async def _look(self) -> None:
        """Ends with the last listener."""
        last: str | None = ""
        beats = 0
        while self._listeners and not self._is_closing:
            try:
                stamp: str | None = await self._ledger.pulse.stamp()
            except LedgerDown:
                stamp = None
            self._note(stamp)
            beats += 1
            if stamp != last or beats >= _AT_LEAST:
                self._tell("changed" if stamp is not None else "away")
                last, beats = stamp, 0
            await asyncio.sleep(BEAT)

    def _note(self, stamp: str | None) -> None:
        if stamp is not None:
            self._answered_at = clock.now()

    def _tell(self, word: str) -> None:
        for listener in self._listeners:
            # What one that is slow to read has missed is nothing: it reads all again at the next word.
            if listener.qsize() < _UNREAD_MOST:
                listener.put_nowait(word)
