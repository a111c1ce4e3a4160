"""One signed `hook.ping`, for a command or for a page, and what it was answered."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING

import structlog

from service import clock, events
from service.ending import end
from service.errors import LedgerDown
from workers.guard import Guard, guarded_client
from workers.send import Answer, send

if TYPE_CHECKING:
    from service.hooks import Hook
    from service.ledger import Ledger
    from service.settings import Settings

log = structlog.get_logger("hooks")


async def ping_hook(hook: Hook, settings: Settings) -> dict[str, object]:
    """Through the same guard as its events."""
    body, began = events.ping(hook.name, clock.now()), time.monotonic()
    async with guarded_client(Guard(None, settings.fetch_private), connections=1) as client:
        answer = await send(client, hook, f"evt_{uuid.uuid4().hex}", body.encode())
    return _told(answer, began)


async def ping_stream(hook: Hook, ledger: Ledger) -> dict[str, object]:
    body, began = events.ping(hook.name, clock.now()), time.monotonic()
    await ledger.streams.ping(hook, f"evt_{uuid.uuid4().hex}", events.Kind.PING, body)
    return _told(Answer(None, settled=True), began)


def _told(answer: Answer, began: float) -> dict[str, object]:
    return {
        "status": answer.status,
        "taken": answer.taken,
        "error": answer.error or None,
        "refused": answer.refused,
        "ms": round((time.monotonic() - began) * 1000),
    }


class Pinger:
    """Sends the pings that the ledger was asked for, each once: one that is lost is asked for again."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._ledger = ledger
        self._hooks = {hook.name: hook for hook in settings.hooks}
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    async def look(self) -> None:
        """Start what was asked for: a slow hook keeps nobody waiting."""
        for name in await self._ledger.hooks.take_asked_tests():
            task = asyncio.create_task(self._ping(name))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        await end(*self._tasks)

    async def _ping(self, name: str) -> None:
        hook = self._hooks.get(name)
        try:
            if hook is None:
                answer = _told(
                    Answer(None, "the hook is not declared where the sweeper runs"), time.monotonic()
                )
            elif hook.is_stream:
                answer = await ping_stream(hook, self._ledger)
            else:
                answer = await ping_hook(hook, self._settings)
            await self._ledger.hooks.keep_test(name, answer)
        except LedgerDown as error:
            log.warning("redis.away", error=str(error))
        else:
            log.info("hook.pinged", hook=name, status=answer["status"], error=answer["error"])
