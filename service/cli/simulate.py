"""`catchlight simulate`: the stand-in provider alone, for developing against."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from service.cli import screen
from service.errors import ConfigError
from service.settings import load
from service.simulator.run import serve
from service.simulator.simulator import DEMO_SECRET, SimulatorConfig, random_seed

if TYPE_CHECKING:
    from service.simulator.simulator import Simulator

_IPV4 = 4


def command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8090,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[
        int | None, typer.Option(help="The same one makes the same stories; drawn when absent.")
    ] = None,
    *,
    fastest: Annotated[float, typer.Option(min=0, help="Seconds that a generation takes at least.")] = 0.5,
    slowest: Annotated[float, typer.Option(min=0, help="Seconds that it takes at most.")] = 3.0,
    media_bytes: Annotated[int, typer.Option(min=1, help="About how large an output is.")] = 20_000,
    fault_rate: Annotated[float, typer.Option(min=0, max=1, help="How often a result is 429 or 5xx.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address as JSON.")] = False,
) -> None:
    """Run the stand-in provider: its API, its CDN, its callbacks and their faults, until Ctrl-C.

    Callbacks are signed with CATCHLIGHT_WEBHOOK_SECRETS, or with a secret that everyone knows.
    """
    secrets = tuple(secret.get_secret_value() for secret in load().webhook_secrets)
    config = SimulatorConfig(
        seed=random_seed() if seed is None else seed,
        secrets=secrets or (DEMO_SECRET,),
        delay=(fastest, max(fastest, slowest)),
        media_bytes=media_bytes,
        fault_rate=fault_rate,
    )
    try:
        asyncio.run(_simulate(config, host, port, as_json=as_json))
    except OSError as error:
        raise ConfigError(f"--host, --port: cannot listen on {host}:{port}: {error.strerror}") from error


async def _simulate(config: SimulatorConfig, host: str, port: int, *, as_json: bool) -> None:
    def ready(base_url: str, _: Simulator) -> None:
        if as_json:
            screen.data({"url": base_url, "seed": config.seed})
        else:
            screen.line(base_url)
        _say_how(base_url, config)

    serving = asyncio.create_task(serve(config, host, port, ready))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _say_how(base_url: str, config: SimulatorConfig) -> None:
    screen.say(f"a simulated provider, seed {config.seed}; to use it:")
    known = DEMO_SECRET in config.secrets
    host = urlsplit(base_url).hostname or ""
    for setting in (
        f"CATCHLIGHT_PROVIDER_URL={base_url}/api/v3",
        "WAVESPEED_API_KEY=any",
        *([f"CATCHLIGHT_WEBHOOK_SECRETS={DEMO_SECRET}"] if known else []),
        f"CATCHLIGHT_FETCH_HOSTS={host}",
        *([f"CATCHLIGHT_FETCH_PRIVATE={private}"] if (private := _network(host)) else []),
    ):
        screen.say(f"  {setting}")
    if not known:
        screen.say(
            "  and CATCHLIGHT_WEBHOOK_SECRETS as it is here: `catchlight connect --write FILE` fetches it"
        )
    screen.say("ready role=simulate")


def _network(host: str) -> str:
    """What the guard has to let pass for its files; "" where that is a public address, or a name's to say."""
    try:
        address = ip_address(host)
    except ValueError:
        return ""
    if address.is_loopback and address.version == _IPV4:
        return "127.0.0.0/8"
    return "" if address.is_global else str(ip_network(address))
