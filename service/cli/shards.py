"""`catchlight shards`: which source is at home on which Redis, and how each of them does."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import screen, sharded
from service.cli.exits import UNHEALTHY
from service.errors import LedgerDown, NotFound
from service.hooks import mask_url
from service.ledger import Ledger
from service.settings import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Looked:
    shard: str
    redis: str
    """Its address, without a password."""
    sources: Sequence[str]
    answers: bool
    roles: Sequence[str] = ()
    backlog: int | None = None
    oldest_due_seconds: float | None = None


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the shards: the sources of each, whether its Redis answers, who works there, what waits.

    Exit code 4: one does not answer. Exit code 3: none is declared.
    """
    settings = load()
    if not settings.shards:
        raise NotFound("no [[shards]] are declared: everything is in the one Redis of CATCHLIGHT_REDIS_URL")
    found = asyncio.run(_all(settings))
    if as_json:
        screen.data({"shards": [asdict(one) for one in found]})
    else:
        _show(found, no_color=settings.no_color)
    if not all(one.answers for one in found):
        raise typer.Exit(UNHEALTHY)


async def _all(settings: Settings) -> list[Looked]:
    return list(await asyncio.gather(*map(_looked, sharded.each(settings))))


async def _looked(settings: Settings) -> Looked:
    url = settings.require_redis_url()
    ledger = Ledger(url, settings.retention)
    which = (settings.shard or "", mask_url(url), [source.name for source in settings.at_home])
    try:
        alive = sorted({one.role for one in await ledger.roles.alive()})
        scaling = await ledger.reading.scaling()
    except LedgerDown:
        return Looked(*which, answers=False)
    finally:
        await ledger.aclose()
    return Looked(*which, True, alive, scaling["backlog"], scaling["oldest_due_seconds"])


def _show(found: Sequence[Looked], *, no_color: bool) -> None:
    screen.table(
        ("shard", "redis", "", "sources", "alive", "backlog", "oldest due"),
        [
            (
                one.shard,
                one.redis,
                "ok" if one.answers else "fail",
                " ".join(one.sources),
                " ".join(one.roles),
                one.backlog,
                None if one.oldest_due_seconds is None else f"{one.oldest_due_seconds:g} s",
            )
            for one in found
        ],
        no_color=no_color,
    )
