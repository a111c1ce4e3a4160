"""Walking a list newest first, past whole blocks of it in which nothing can match.

For a word like `model:flux` the ledger knows in which blocks of 1,024 sequence numbers something has it: a
few bytes for a prediction, where an entry for each would be a hundred. A block may promise too much, since
nothing is taken out of it before it is trimmed; what is found in it is looked at in any case. What an older
version wrote has no blocks: below `marked` a list is walked as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from service import keys
from service.ledger.connection import reaching
from service.ledger.pages import below

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from service.ledger.connection import Redis

BLOCK = 1024
"""As in `prelude.lua`."""
CHUNK = 100
_BLOCKS = 64
"""Looked up at once."""
_WORDS_MOST = 64
"""Of those that begin alike."""


class Chunk(NamedTuple):
    rows: Sequence[tuple[str, str]]
    """Members with their sequence numbers."""
    cursor: str
    """Where to go on when all of it is read, whatever it had."""


class Walk:
    """`words`: keys of blocks, one of each group has to be there. `down_to`: the lowest sequence number."""

    def __init__(self, redis: Redis, index: str, words: Sequence[Sequence[str]], down_to: int) -> None:
        self._redis = redis
        self._index = index
        self._words = words
        self._down_to = down_to

    async def chunks(self, before: int | None, first: int) -> AsyncIterator[Chunk]:
        """From below a sequence number; the first of at most `first` rows, where no word says which."""
        if not self._words:
            async for chunk in self._plain(before, first):
                yield chunk
            return
        whole = await self._marked()
        async for chunk in self._blocks(before, whole):
            before = int(chunk.cursor)
            yield chunk
        before = whole if before is None else min(before, whole)
        if before > self._down_to:
            async for chunk in self._plain(before, CHUNK):
                yield chunk

    async def _plain(self, before: int | None, size: int) -> AsyncIterator[Chunk]:
        while True:
            rows = await below(self._redis, self._index, before, size, self._down_to)
            if not rows:
                return
            yield Chunk(rows, rows[-1][1])
            if len(rows) < size:
                return
            before, size = int(rows[-1][1]), max(size, CHUNK)

    async def _blocks(self, before: int | None, whole: int) -> AsyncIterator[Chunk]:
        lowest = max(whole, self._down_to) // BLOCK
        top = None if before is None else (before - 1) // BLOCK
        while top is None or top >= lowest:
            blocks, reached = await self._common(top, lowest)
            for block in blocks:
                start, end = max(block * BLOCK, self._down_to), (block + 1) * BLOCK
                upper = end if before is None else min(before, end)
                rows = await below(self._redis, self._index, upper, BLOCK, start)
                for n in range(0, len(rows), CHUNK):
                    part = rows[n : n + CHUNK]
                    yield Chunk(part, part[-1][1])
                before = start
            if reached is None:
                return
            before, top = reached * BLOCK, reached - 1
            yield Chunk((), str(before))

    async def _common(self, top: int | None, lowest: int) -> tuple[list[int], int | None]:
        """Blocks that all words have, highest first, and down to which that is all; None is to the end."""
        upper = "+inf" if top is None else top
        with reaching():
            async with self._redis.pipeline(transaction=False) as pipe:
                for group in self._words:
                    for key in group:
                        pipe.zrevrangebyscore(key, upper, lowest, start=0, num=_BLOCKS)
                answers = iter(cast("list[list[str]]", await pipe.execute()))
        found: set[int] | None = None
        reached: int | None = None
        for group in self._words:
            lists = [[int(block) for block in next(answers)] for _ in group]
            ends = [blocks[-1] for blocks in lists if len(blocks) == _BLOCKS]
            reached = max([*ends, *(() if reached is None else (reached,))], default=None)
            union = {block for blocks in lists for block in blocks}
            found = union if found is None else found & union
        return sorted(
            (block for block in found or () if reached is None or block >= reached), reverse=True
        ), reached

    async def _marked(self) -> int:
        """The first sequence number of a block from which on all have theirs; past the last when none has."""
        with reaching():
            (said,) = await self._redis.hmget(keys.MARKED, ["from"])
            if said is None:
                said = await self._redis.get(keys.SEQUENCE) or "0"
                return (int(said) // BLOCK + 1) * BLOCK
        return -(-int(said) // BLOCK) * BLOCK


async def words_like(redis: Redis, name: str, pattern: str) -> list[str] | None:
    """Keys of the blocks of a word; None when too many begin so to look at each."""
    if not pattern.endswith("*"):
        return [f"{keys.WORD}{name}:{pattern}"]
    begin = f"{name}:{pattern[:-1]}".encode()
    with reaching():
        found = cast(
            "list[str]",
            await redis.zrange(
                keys.WORDS, b"[" + begin, b"[" + begin + b"\xff", bylex=True, offset=0, num=_WORDS_MOST + 1
            ),
        )
    return [keys.WORD + word for word in found] if len(found) <= _WORDS_MOST else None
