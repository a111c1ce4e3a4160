"""`catchlight serve`: the receiver, in this process or in several that share its port."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import processes as many
from service.cli import sharded
from service.cli.context import redis_address
from service.errors import ConfigError
from service.settings import load
from service.settings.environment import child_environment
from service.web import server


def command(
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1,
    host: Annotated[str | None, typer.Option(help="Instead of CATCHLIGHT_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Instead of CATCHLIGHT_PORT.")] = None,
    reuse_port: Annotated[bool, typer.Option("--reuse-port", hidden=True)] = False,
) -> None:
    """Receive callbacks and answer the API, until SIGTERM.

    Redis may come later: until then callbacks are answered 503, and the provider sends them again. Where
    there are several shards, the callbacks of all of them are taken.
    """
    changes = {"host": host, "port": None if port is None else str(port)}
    changed = {name: value for name, value in changes.items() if value is not None}
    settings = load(child_environment(changed))
    settings.require_webhook_secrets()
    # Of several shards each has an address of its own.
    redis_url = None if sharded.undecided(settings) else redis_address(settings)
    if processes == 1:
        raise typer.Exit(server.run(settings, redis_url, reuse_port=reuse_port))
    if settings.port == 0:
        raise ConfigError("--processes: needs a port to share, and port 0 is a new one for each")
    # An embedded server is found by who looks in this folder: its address goes with them.
    where = {"redis_url": redis_url} if redis_url and not settings.shards else {}
    environment = child_environment(changed | where)
    share = many.python("service.cli", "serve", "--reuse-port")
    raise typer.Exit(many.run(many.several("serve", share, environment, processes), settings.grace))
