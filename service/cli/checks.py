"""What `doctor` tests besides Redis: the settings, the store (as the workers do), and the provider's key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import wavespeed
from service.cli import errands
from service.cli.operating import provider_client
from service.errors import ProviderDown, ProviderRefused
from service.ledger.durability import Finding, State

if TYPE_CHECKING:
    from service.settings import Settings

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
    if settings.webhook_secrets:
        return Finding("secrets", State.OK, f"{len(settings.webhook_secrets)} to verify callbacks with")
    fix = "set CATCHLIGHT_WEBHOOK_SECRETS to the secret of your provider account"
    return Finding("secrets", State.FAIL, "no secret is set: `serve` does not start", fix)


async def storage() -> list[Finding]:
    try:
        found = await errands.run("check", patience=STORAGE_TIMEOUT)
    except errands.ErrandFailed as error:
        fix = "see CATCHLIGHT_STORAGE_URL and the credentials it needs"
        return [Finding("storage", State.FAIL, str(error), fix)]
    return [Finding(one["name"], State(one["state"]), one["detail"], one["fix"]) for one in found]


async def provider(settings: Settings) -> Finding:
    if settings.wavespeed_api_key is None:
        detail = "no API key: callbacks are taken, but nothing can be polled, reconciled or submitted"
        return Finding("provider", State.WARN, detail, "set WAVESPEED_API_KEY")
    async with wavespeed.open_http() as http:
        try:
            balance = await provider_client(settings, http).balance()
        except ProviderRefused as error:
            detail = f"the provider refuses the API key: {error}"
            return Finding("provider", State.FAIL, detail, "set WAVESPEED_API_KEY to a key that is valid")
        except ProviderDown as error:
            fix = "see CATCHLIGHT_PROVIDER_URL and this machine's way out"
            return Finding("provider", State.WARN, str(error), fix)
    return Finding("provider", State.OK, f"the API key works; balance {balance:.2f} USD")
