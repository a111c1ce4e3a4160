"""Where there are several shards: which of them a command is about."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from service.errors import Conflict, LedgerDown, NotFound
from service.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from service.prediction import Ref
    from service.settings import Settings

T = TypeVar("T")


def undecided(settings: Settings) -> bool:
    """There are several, and nobody said which."""
    return bool(settings.shards) and settings.shard is None


def each(settings: Settings) -> list[Settings]:
    """Of every shard its own; or those that are, where there are none or one is chosen."""
    return [settings.of_shard(one.name) for one in settings.shards] if undecided(settings) else [settings]


def looks(
    shards: Sequence[Settings], look: Callable[[Settings], Coroutine[Any, Any, T]]
) -> Iterator[tuple[Settings, T | LedgerDown]]:
    """At one after the other: a shard whose Redis is away does not hide the next."""
    for one in shards:
        found: T | LedgerDown
        try:
            found = asyncio.run(look(one))
        except LedgerDown as error:
            found = error
        yield one, found


def labelled(settings: Settings, check: str) -> str:
    """Whose finding it is: `redis.write` of the shard b is `b.redis.write`."""
    return f"{settings.shard}.{check}" if settings.shard else check


def at_home_of(settings: Settings, source: str) -> Settings:
    """Those of the shard of a source. Raises InvalidInput for a source that nobody has declared."""
    home = settings.home_of(settings.account(source).name) if undecided(settings) else None
    return settings.of_shard(home) if home else settings


async def holding(settings: Settings, id_: str, source: str | None) -> Settings:
    """Those of the shard that has the prediction. Raises NotFound, Conflict, and LedgerDown.

    All are asked: a source may have moved, and left there what began before.
    """
    if not undecided(settings):
        return settings
    found: list[tuple[Ref, Settings]] = []
    away: LedgerDown | None = None
    for one in each(settings):
        ledger = Ledger(one.require_redis_url(), one.retention)
        try:
            found.append((await ledger.reading.find(id_, source, one.source_names), one))
        except NotFound:
            continue
        except LedgerDown as error:
            away = LedgerDown(f"the shard {one.shard}: {error}", error.retry_after)
        finally:
            await ledger.aclose()
    if len(found) > 1:
        where = ", ".join(f"{ref.source} on {one.shard}" for ref, one in found)
        raise Conflict(f"{id_} exists more than once ({where}); name one with --source or --shard")
    if not found:
        raise away or NotFound(f"no prediction {id_}")
    return found[0][1]
