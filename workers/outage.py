"""Redis away while something must be read or written: wait for it, and let no stop of ours tear a write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import structlog

from service.ending import end
from service.errors import LedgerDown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

log = structlog.get_logger("work")

TRY_EVERY = 0.5
PATIENCE = 2.0
"""Seconds that a write under way may still take after its job was cancelled."""


async def waited_out(call: Callable[[], Awaitable[T]], what: str) -> T:
    """The answer of the ledger, as soon as it gives one."""
    while True:
        try:
            return await call()
        except LedgerDown as error:
            log.warning("ledger.waiting", what=what, error=str(error))
            await asyncio.sleep(TRY_EVERY)


async def written(call: Callable[[], Awaitable[T]], what: str) -> T:
    """The same for a write that must not be torn: a lease left half-way would be taken for a crash."""
    writing = asyncio.ensure_future(waited_out(call, what))
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait({writing}, timeout=PATIENCE)
        await end(writing)
        raise
