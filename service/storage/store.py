"""What every store promises, directory or bucket, and the little they share."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from service.errors import NotFound, TryLater
from service.storage import layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from service.storage.disk import Disk

BATCH = 1 << 20
"""Bytes handed to a thread at once: a hop costs about 50 µs, hashing and writing this much about 1 ms."""


class StorageError(TryLater):
    """A store cannot do it now; the text names the place and the reason."""


class StorageFullError(StorageError):
    """It has no room for one more, or may not use more than it has."""


class Kept(NamedTuple):
    """One file that is durable: where it stands and what it is."""

    key: str
    uri: str
    sha256: str
    bytes: int
    conflict: bool
    """Other bytes had the asked key first, and keep it."""


class Placed(NamedTuple):
    """Where a file is now."""

    key: str
    uri: str


class Store(Protocol):
    """Keys are relative, a ValueError when unsafe; whatever fails at the place is a StorageError."""

    async def keep(self, key: str, chunks: AsyncIterable[bytes]) -> Kept:
        """Write a stream once: durable on return, never partly at its key; the first bytes at a key stay.

        What `chunks` raises goes through unchanged and leaves nothing behind.
        """

    async def write(self, key: str, data: bytes) -> str:
        """Replace what stands at the key, at once and durably; the URI."""

    async def read(self, key: str) -> bytes:
        """All of it; NotFound when nothing stands there."""

    def chunks(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The same as a stream, or `length` > 0 bytes from byte `start` on; NotFound on the first step."""

    async def exists(self, key: str) -> bool:
        """Does anything stand at the key?"""

    async def sha256(self, key: str) -> str:
        """In hexadecimal, of what stands at the key now; NotFound."""

    async def move(self, src: str, dst: str, sha256: str | None = None) -> Placed:
        """Carry a file over, by the same rule of first bytes. Doing it again is harmless.

        `sha256`, when known, lets a repetition find the file after a conflict. NotFound when it is nowhere.
        """

    async def delete(self, key: str) -> None:
        """Gone durably, also when it was gone before."""

    def manifests(self, folder: str = "") -> AsyncIterator[str]:
        """Keys of all files called `manifest.json`, or of those in one folder of the root, in no order.

        A few at a time, however many there are; none when the place does not exist.
        """

    def uri(self, key: str) -> str:
        """Absolute: `file:///…`, `s3://bucket/prefix/…`."""

    async def check(self) -> None:
        """StorageError, naming the setting, unless everything above works here now."""

    async def place(self) -> str:
        """What tells this place from others: the same to all who share it."""

    async def disk(self) -> Disk | None:
        """The file system that it stands on; None when it stands on none."""

    async def tidy(self) -> int:
        """Remove what killed writers left under `.tmp/`, and nothing a living one uses; how many."""

    async def aclose(self) -> None: ...


@asynccontextmanager
async def stream_of(chunks: AsyncIterable[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """One run over the chunks, closed at the end: a generator left half-way would hold its connection."""
    source = aiter(chunks)
    try:
        yield source
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def take(source: AsyncIterator[bytes], size: int) -> list[bytes]:
    """The next chunks, together at least `size` bytes; less means that the stream has ended."""
    parts: list[bytes] = []
    missing = size
    while missing > 0 and (chunk := await anext(source, None)) is not None:
        parts.append(chunk)
        missing -= len(chunk)
    return parts


def length(parts: list[bytes]) -> int:
    return sum(map(len, parts))


async def landed(store: Store, key: str, sha256: str | None) -> Placed:
    """Where an earlier move left a file whose source is gone; NotFound when there is none."""
    candidates = [key, layout.conflict_key(key, sha256)] if sha256 else [key]
    for candidate in candidates:
        try:
            found = await store.sha256(candidate)
        except NotFound:
            continue
        if sha256 in {None, found}:
            return Placed(candidate, store.uri(candidate))
    raise NotFound(f"nothing stands at {store.uri(key)}, nor where it was to come from.")
