"""`[[shards]]`: several Redis primaries, each with a ledger and a queue of its own, and who lives on which.

A source is on one shard, so that everything about a prediction stays in one Redis and one script. Which one
follows from the names alone: every process of every machine comes to the same answer and asks nobody.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from service.settings.accounts import named
from service.settings.fields import Names, RedisUrl


class Shard(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, AfterValidator(named)]
    redis_url: RedisUrl
    sources: Names = ()
    """At home here whatever their names say: for a ledger that was there before there were shards."""


def home(source: str, shards: Sequence[Shard]) -> Shard:
    """The shard that a source is at home on: pinned, else of the highest hash of both names.

    Rendezvous hashing (Thaler and Ravishankar, 1998): one shard more moves one source in `len(shards)` to
    it, and none between the others. In what order they are written changes nothing.
    """
    pinned = next((shard for shard in shards if source in shard.sources), None)
    return pinned or max(shards, key=lambda shard: _weight(source, shard.name))


def _weight(source: str, shard: str) -> bytes:
    return hashlib.sha256(f"{shard}\n{source}".encode()).digest()


def checked(shards: Sequence[Shard]) -> Sequence[Shard]:
    """Raises ValueError for two that are one: two ledgers in one Redis would be one, with two sweepers."""
    if twins := _twice(shard.name for shard in shards):
        raise ValueError(f"two shards are named {twins}: give each a name of its own")
    if _twice(shard.redis_url for shard in shards):
        names = ", ".join(shard.name for shard in shards)
        raise ValueError(f"two of {names} have the same redis_url: a shard is a Redis of its own")
    if twins := _twice(source for shard in shards for source in shard.sources):
        raise ValueError(f"{twins} is among the sources of two shards: it can be on one")
    return shards


def _twice(values: Iterable[str]) -> str:
    return ", ".join(sorted(value for value, times in Counter(values).items() if times > 1))
