"""All that a job needs, opened once per process (or once per job under a stock `rq worker`)."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.effort import Meter
from service.ending import end
from service.ledger import Ledger
from service.metrics.gathering import Gathering
from service.storage import open_vault
from workers.fetch import Limits
from workers.flight import Flight
from workers.gate import Gate
from workers.guard import Guard, GuardedSession, guarded_client
from workers.leases import Leases
from workers.opinion.asking import Opinion
from workers.room import Room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

    from service.hooks import Hook
    from service.moderation import Policy
    from service.settings import Settings
    from service.storage import Vault

_current: ContextVar[Workshop | None] = ContextVar("workshop", default=None)

OUTPUTS_AT_ONCE = 4
"""Of one prediction: a thousand outputs leave connections to the others, whose deadlines run meanwhile."""


@dataclass(frozen=True, slots=True)
class Workshop:
    name: str
    settings: Settings
    ledger: Ledger
    gathering: Gathering
    leases: Leases
    vault: Vault
    room: Room
    policy: Policy
    opinion: Opinion
    limits: Limits
    flight: Flight
    fetch_session: GuardedSession
    hook_client: httpx.AsyncClient
    hooks: dict[str, Hook]
    gates: dict[str, Gate]
    """One for each hook."""
    meter: Meter
    monotonic: Callable[[], float] = time.monotonic
    """Of the gates."""


def instance_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


@asynccontextmanager
async def opened(settings: Settings, name: str) -> AsyncIterator[Workshop]:
    """The workshop in the running loop; renews the leases of its jobs until it closes."""
    opinion = Opinion(settings)
    ledger = Ledger(
        settings.require_redis_url(),
        settings.retention,
        connections=settings.concurrency // 2 + 8,
        together=True,
        urgent_within=settings.urgent_within,
    )
    leases = Leases(ledger, settings.lease)
    vault = open_vault(
        settings.effective_storage_url, settings.held_storage_url, threads=max(4, settings.concurrency // 4)
    )
    fetch_guard = Guard(settings.fetch_hosts, settings.fetch_private)
    fetch_session = GuardedSession(fetch_guard, connections=settings.concurrency * OUTPUTS_AT_ONCE)
    hook_client = guarded_client(Guard(None, settings.fetch_private), connections=settings.concurrency)
    shop = Workshop(
        name=name,
        settings=settings,
        ledger=ledger,
        gathering=Gathering(ledger.measuring),
        leases=leases,
        vault=vault,
        room=Room(vault, settings.disk_free),
        policy=settings.moderation_policy,
        opinion=opinion,
        limits=Limits(
            total=settings.fetch_timeout, idle=settings.fetch_idle, max_bytes=settings.fetch_max_bytes
        ),
        flight=Flight(settings.fetch_in_flight, settings.fetch_per_host),
        fetch_session=fetch_session,
        hook_client=hook_client,
        hooks={hook.name: hook for hook in settings.hooks},
        gates={
            hook.name: Gate(settings.concurrency, hook.rate, settings.breaker_probe, hook.concurrency)
            for hook in settings.hooks
        },
        meter=Meter(),
    )
    shop.meter.watch(shop.flight.levels)
    beside = [
        asyncio.create_task(leases.keep()),
        asyncio.create_task(shop.room.watch()),
        asyncio.create_task(shop.gathering.keep_writing()),
    ]
    token = _current.set(shop)
    try:
        await shop.room.look()
        yield shop
    finally:
        _current.reset(token)
        await end(*beside)
        await shop.gathering.put_away()
        await fetch_session.aclose()
        await hook_client.aclose()
        await opinion.aclose()
        await vault.aclose()
        await ledger.aclose()


def current() -> Workshop | None:
    return _current.get()
