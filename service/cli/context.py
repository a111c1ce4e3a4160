"""What commands share: where Redis is, and the ledger opened over it for the length of a command."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.cli import sharded
from service.cli.family import URL_FILE
from service.errors import ConfigError, LedgerDown
from service.ledger import Ledger
from service.settings import load
from service.settings.environment import child_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Desk:
    """What a person at the command line works with."""

    settings: Settings
    ledger: Ledger


def embedded_url(settings: Settings) -> str | None:
    """The address of the server that a running `up` brought, as that wrote it down."""
    try:
        return (settings.data_dir / URL_FILE).read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def redis_address(settings: Settings) -> str:
    """The configured Redis, else the one of a running `up`. Raises ConfigError when there is neither."""
    if settings.shards:
        return settings.require_redis_url()
    url = settings.redis_url or embedded_url(settings)
    if url is None:
        raise ConfigError(
            "CATCHLIGHT_REDIS_URL: is not set, and no `catchlight up` runs in this folder; "
            "set it to redis://host:port/0, or run `catchlight up`, which brings a server"
        )
    return url


def for_children(settings: Settings) -> dict[str, str]:
    """The environment of a process that works on the same Redis. Raises ConfigError as `redis_address`."""
    address = redis_address(settings)
    return child_environment({"shard": settings.shard} if settings.shard else {"redis_url": address})


@asynccontextmanager
async def opened(id_: str | None = None, source: str | None = None) -> AsyncIterator[Desk]:
    """Of several shards the one that has the prediction of that id, or else is the home of the source."""
    settings = load()
    if id_ is not None:
        settings = await sharded.holding(settings, id_, source)
    elif source is not None:
        settings = sharded.at_home_of(settings, source)
    async with ledger_of(settings) as ledger:
        yield Desk(settings, ledger)


@asynccontextmanager
async def ledger_of(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger; that its server is gone is explained to whoever relied on `up`."""
    ledger = Ledger(redis_address(settings), settings.retention, urgent_within=settings.urgent_within)
    try:
        yield ledger
    except LedgerDown as error:
        if settings.redis_url or settings.shards:
            raise
        hint = f"{error}; is `catchlight up` running in this folder?"
        raise LedgerDown(hint, error.retry_after) from error
    finally:
        await ledger.aclose()
