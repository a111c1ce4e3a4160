"""What a command has this room do for it, once: a test of the store, a ping to a hook, a look at a list.

Each prints one JSON value on stdout: `service` does not import this room but starts it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from service import clock, logs, tracing, wavespeed
from service.errors import ConfigError
from service.intake import Intake
from service.ledger import Ledger
from service.storage import open_vault
from workers.checkup import checked
from workers.pace import Pace
from workers.ping import ping_hook, ping_stream
from workers.reconcile import Reconciler
from workers.reindex import Reindex

if TYPE_CHECKING:
    from service.hooks import Hook
    from service.settings import Settings
    from workers.reindex import Report


def check(settings: Settings, _: list[str]) -> int:
    """What `doctor` wants to know of the stores: a list of checks."""
    _print([finding._asdict() for finding in asyncio.run(checked(settings))])
    return 0


def ping(settings: Settings, arguments: list[str]) -> int:
    """One signed `hook.ping` to the hook NAME: what it answered."""
    name = arguments[0] if arguments else ""
    hook = next((hook for hook in settings.hooks if hook.name == name), None)
    if hook is None:
        raise ConfigError(f"ping: no hook {name!r} is declared")
    _print(asyncio.run(_ping(settings, hook)))
    return 0


async def _ping(settings: Settings, hook: Hook) -> dict[str, object]:
    if not hook.is_stream:
        return await ping_hook(hook, settings)
    ledger = Ledger(settings.require_redis_url(), settings.retention)
    try:
        return await ping_stream(hook, ledger)
    finally:
        await ledger.aclose()


def reconcile(settings: Settings, arguments: list[str]) -> int:
    """The lists of the last SECONDS of the sources against the ledger: a report for each."""
    try:
        seconds = float(arguments[0])
    except (IndexError, ValueError):
        raise ConfigError("reconcile takes SECONDS and sources") from None
    logs.configure("warning", settings.log_format)
    with tracing.opened("reconcile"):
        _print(asyncio.run(_reconcile(settings, seconds, arguments[1:])))
    return 0


async def _reconcile(settings: Settings, seconds: float, names: list[str]) -> list[dict[str, object]]:
    ledger = Ledger(settings.require_redis_url(), settings.retention, urgent_within=settings.urgent_within)
    intake, since = Intake(ledger), clock.now() - seconds
    try:
        async with wavespeed.open_http() as http:
            clients = wavespeed.clients(settings.accounts, http)
            reports = []
            for name in names:
                pace = Pace(settings.account_at_home(name).poll_rate)
                reconciler = Reconciler(settings, ledger, intake, clients[name], pace, source=name)
                reports.append(await reconciler.look(since))
    finally:
        await ledger.aclose()
    return [report.public() for report in reports]


def reindex(settings: Settings, arguments: list[str]) -> int:
    """The ledger rebuilt from storage, or with `dry` only what would be: counts, and what cannot be read."""
    logs.configure("warning", settings.log_format)
    _print(dataclasses.asdict(asyncio.run(_reindex(settings, dry="dry" in arguments))))
    return 0


async def _reindex(settings: Settings, *, dry: bool) -> Report:
    ledger = Ledger(settings.require_redis_url(), settings.retention)
    vault = open_vault(settings.effective_storage_url, settings.held_storage_url, threads=8)
    try:
        ours = frozenset(source.name for source in settings.at_home) if settings.shards else None
        return await Reindex(ledger, vault, settings.retention, sources=ours, dry=dry).run()
    finally:
        await vault.aclose()
        await ledger.aclose()


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
