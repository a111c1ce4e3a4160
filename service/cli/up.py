"""`catchlight up`: everything on one machine, from an empty folder."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import family, sharded
from service.cli.supervisor import (
    KILL_MARGIN,
    ChildFailed,
    Supervisor,
    keep_until_signal,
    to_stderr,
)
from service.hooks import mask_url
from service.settings import load
from service.settings.environment import child_environment

if TYPE_CHECKING:
    from service.settings import Settings


def command(
    processes: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
) -> None:
    """Run everything on this machine: Redis if none is set, receiver, workers, sweeper. Ctrl-C drains.

    CATCHLIGHT_WEBHOOK_SECRETS must be set, in the environment or in catchlight.toml.
    """
    settings = load()
    settings.require_webhook_secrets()
    with family.only_one(settings.data_dir):
        try:
            asyncio.run(_up(settings, processes))
        except ChildFailed as failure:
            sys.stderr.write(f"error: {failure}\n")
            raise typer.Exit(failure.code) from None


async def _up(settings: Settings, processes: int) -> None:
    log_format = "console" if settings.log_format == "auto" and sys.stderr.isatty() else settings.log_format
    with family.redis_for(settings, child_environment({})) as (redis_url, servers):
        where = {"redis_url": redis_url} if redis_url else {}
        environment = child_environment(where | {"log_format": log_format})
        shards = [one.shard for one in sharded.each(settings) if one.shard]
        children = [*servers, *family.roles(environment, processes, shards)]
        supervisor = Supervisor(children, relay=to_stderr, grace=settings.grace + KILL_MARGIN)
        await keep_until_signal(
            supervisor, started=lambda: _say_where(settings, redis_url, embedded=bool(servers))
        )


def _say_where(settings: Settings, redis_url: str | None, *, embedded: bool) -> None:
    base = f"http://{settings.host}:{settings.port}"
    kind = "embedded" if embedded else "yours"
    servers = {kind: redis_url} if redis_url else {one.name: one.redis_url for one in settings.shards}
    lines = [
        f"dashboard  {base}/",
        *(f"callbacks  {base}{source.path}" for source in settings.accounts if source.secrets),
        f"API        {base}/api/v1/predictions",
        *(f"redis      {mask_url(url)} ({name})" for name, url in servers.items()),
        f"storage    {settings.effective_storage_url}",
        *(f"warning    {warning}" for warning in settings.warnings()),
        "ready role=up",
    ]
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
