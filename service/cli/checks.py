"""What `doctor` tests besides Redis: the settings, the store (as the workers do), and the provider's key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service import comparing, tracing, wavespeed
from service.cli import errands
from service.errors import ProviderDown, ProviderRefused
from service.ledger.durability import Finding, State
from service.operator import DEFAULT_SOURCE
from service.settings.telemetry import telemetry

if TYPE_CHECKING:
    from service.settings import Settings
    from service.sources import Source

STORAGE_TIMEOUT = 60.0
"""Seconds for a store to take, return and forget a file."""
_OF_HOOKS = "[[hooks]]"


def of_settings(settings: Settings) -> list[Finding]:
    """One finding per warning, or one that there is none; and whether callbacks can be verified at all."""
    warnings = settings.warnings()
    about_hooks = [warning for warning in warnings if warning.startswith(_OF_HOOKS)]
    others = [warning for warning in warnings if warning not in about_hooks]
    return [
        *_warned("settings", others, f"{len(settings.origins)} set, the others at their defaults"),
        _secrets(settings),
        *_warned("hooks", about_hooks, f"{len(settings.hooks)} declared, none at a forbidden address"),
    ]


def _warned(name: str, warnings: list[str], fine: str) -> list[Finding]:
    fix = "change it, unless you mean it; `catchlight config show` tells where it came from"
    return [Finding(name, State.WARN, warning, fix) for warning in warnings] or [
        Finding(name, State.OK, fine)
    ]


def _secrets(settings: Settings) -> Finding:
    if any(source.secrets for source in settings.accounts):
        sources = [f"{len(one.secrets)} of {one.name}" for one in settings.accounts if one.secrets]
        return Finding("secrets", State.OK, f"to verify callbacks with: {', '.join(sources)}")
    fix = "set CATCHLIGHT_WEBHOOK_SECRETS to the secret of your provider account"
    return Finding("secrets", State.FAIL, "no secret is set: `serve` does not start", fix)


async def traces() -> list[Finding]:
    """Nothing when `OTEL_*` asks for none."""
    asked = telemetry()
    if not asked.traces and not asked.trouble:
        return []
    if trouble := await asyncio.to_thread(tracing.tried):
        return [Finding("traces", State.WARN, trouble.why, trouble.fix)]
    return [Finding("traces", State.OK, "the collector takes them")]


async def storage() -> list[Finding]:
    try:
        found = await errands.run("check", patience=STORAGE_TIMEOUT)
    except errands.ErrandFailed as error:
        fix = "see CATCHLIGHT_STORAGE_URL and the credentials it needs"
        return [Finding("storage", State.FAIL, str(error), fix)]
    return [Finding(one["name"], State(one["state"]), one["detail"], one["fix"]) for one in found]


async def providers(settings: Settings) -> list[Finding]:
    """Does each key work? One finding that there is none at all, or one for each source that has one."""
    asked = [source for source in settings.accounts if source.key]
    if not asked:
        detail = "no API key: callbacks are taken, but nothing can be polled, reconciled or submitted"
        return [Finding("provider", State.WARN, detail, "set WAVESPEED_API_KEY")]
    async with wavespeed.open_http() as http:
        clients = wavespeed.clients(asked, http)
        return [
            finding
            for source in asked
            for finding in (
                await _provider(source, clients[source.name]),
                *await _compared(source, clients[source.name]),
            )
        ]


async def _compared(source: Source, client: wavespeed.Client) -> list[Finding]:
    """Is the secret still the provider's? Nothing when it does not tell, or is not there to tell."""
    if not source.secrets:
        return []
    compared = await comparing.compare(source, client)
    if compared.state is comparing.State.UNKNOWN:
        return []
    drifted = compared.state is comparing.State.DRIFTED
    name = "secret" if source.name == DEFAULT_SOURCE else f"secret.{source.name}"
    fix = comparing.remedy(source.name) if drifted else ""
    return [Finding(name, State.FAIL if drifted else State.OK, compared.detail, fix)]


async def _provider(source: Source, client: wavespeed.Client) -> Finding:
    default = source.name == DEFAULT_SOURCE
    name = "provider" if default else f"provider.{source.name}"
    try:
        balance = await client.balance()
    except ProviderRefused as error:
        key = "WAVESPEED_API_KEY" if default else f"the key of the source {source.name}"
        detail = f"the provider refuses the API key: {error}"
        return Finding(name, State.FAIL, detail, f"set {key} to one that is valid")
    except ProviderDown as error:
        return Finding(name, State.WARN, str(error), "see CATCHLIGHT_PROVIDER_URL and this machine's way out")
    return Finding(name, State.OK, f"the API key works; balance {balance:.2f} USD")
