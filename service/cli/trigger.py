"""`catchlight trigger`: the callbacks of one prediction, signed and sent to any URL."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from service.cli import screen
from service.cli.exits import FAILED
from service.errors import ConfigError, InvalidInput
from service.settings import load
from service.simulator.plot import Kind
from service.simulator.scenario import Scenario
from service.simulator.trigger import trigger

if TYPE_CHECKING:
    from service.settings import Settings
    from service.simulator.truth import Sent
    from service.sources import Source

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to knock, not where to listen


def command(
    name: Annotated[str, typer.Argument(metavar="SCENARIO", help=f"One of {', '.join(Scenario)}.")],
    to: Annotated[str | None, typer.Option(help="The receiver; ours by default.")] = None,
    secret: Annotated[
        str | None,
        typer.Option(help="Instead of the first that is set for the source; others can see it."),
    ] = None,
    cdn: Annotated[
        str | None, typer.Option(help="A simulator that serves the outputs; the provider's host by default.")
    ] = None,
    token: Annotated[str, typer.Option(help="The same one makes the same prediction again.")] = "",
    *,
    source: Annotated[
        str | None, typer.Option(help="Whose path and secret, when not the default one's.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was sent and answered as JSON.")
    ] = False,
) -> None:
    """Send the callbacks of one scenario, signed as the provider signs them, and print the answers.

    Exit code 1: a genuine callback was not taken.
    """
    settings = load()
    scenario = scenario_of(name)
    account = settings.account(source)
    url = to or receiver_of(settings, account)
    sent = asyncio.run(
        trigger(
            scenario, url, secret or _first_secret(account), cdn_base=cdn or _origin(settings), token=token
        )
    )
    if as_json:
        screen.data(
            {"scenario": scenario, "to": url, "sent": [one.as_json() | {"answer": one.body} for one in sent]}
        )
    else:
        _show(scenario, sent)
    if any(not one.taken for one in sent if one.kind is not Kind.FORGED):
        raise typer.Exit(FAILED)


def scenario_of(name: str) -> Scenario:
    """Raises InvalidInput with the nearest name."""
    if name in list(Scenario):
        return Scenario(name)
    nearest = get_close_matches(name, list(Scenario), n=1, cutoff=0)[0]
    raise InvalidInput(
        "SCENARIO", f"there is no {name}; the nearest is {nearest}. All: {', '.join(Scenario)}"
    )


def receiver_of(settings: Settings, account: Source) -> str:
    """Where our own receiver listens. Raises ConfigError when only the receiver knows its port."""
    if settings.port == 0:
        raise ConfigError("--to: is needed, for CATCHLIGHT_PORT is 0 and takes a free port")
    host = _EVERYWHERE.get(settings.host, settings.host)
    address = f"[{host}]" if ":" in host else host
    return f"http://{address}:{settings.port}{account.path}"


def _first_secret(account: Source) -> str:
    if not account.secrets:
        raise ConfigError(
            f"--secret: is needed, for no secret of the source {account.name} is set "
            "(CATCHLIGHT_WEBHOOK_SECRETS for the default one)"
        )
    return account.secrets[0]


def _origin(settings: Settings) -> str:
    parts = urlsplit(settings.provider_url)
    return f"{parts.scheme}://{parts.netloc}"


def _show(scenario: Scenario, sent: list[Sent]) -> None:
    if not sent:
        screen.say(f"{scenario}: no callback is sent; that is the point of it")
    for one in sent:
        screen.line(f"{one.kind}  {one.status or 'no answer'}  {one.body or one.error}")
