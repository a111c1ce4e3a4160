"""A store in a local directory: write, fsync, link, fsync, in threads of its own, with few hops per file."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from service.errors import NotFound
from service.storage import disk
from service.storage.layout import MANIFEST, PLACE, TEMPORARY, checked
from service.storage.store import (
    BATCH,
    Kept,
    Placed,
    StorageError,
    StorageFullError,
    landed,
    length,
    stream_of,
    take,
)
from service.storage.temporary import Temporary
from service.storage.tree import Tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

_LISTED = 500
"""Keys that one visit to a thread brings."""
_IN_THE_WAY = {errno.ELOOP, errno.ENOTDIR}
_FULL = {errno.ENOSPC, errno.EDQUOT}


class DirectoryStore:
    def __init__(self, root: Path, *, setting: str, threads: int) -> None:
        """`threads` bounds the files written or read at one moment; `setting` is what `check` blames."""
        self._tree = Tree(root)
        self._root_uri = root.as_uri().rstrip("/")
        self._setting = setting
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="storage")

    async def keep(self, key: str, chunks: AsyncIterable[bytes]) -> Kept:
        checked(key)
        temporary = Temporary(self._tree)
        over = False
        try:
            async with stream_of(chunks) as source:
                while length(parts := await take(source, BATCH)) >= BATCH:
                    await self._run("write", key, temporary.append, parts)
            at = await self._run("write", key, _finish, temporary, parts, key)
            over = True
        finally:
            if not over:
                await asyncio.shield(self._run("clean up", key, temporary.discard))
        return Kept(at, self.uri(at), temporary.sha256, temporary.bytes, conflict=at != key)

    async def write(self, key: str, data: bytes) -> str:
        checked(key)
        await self._run("write", key, _replace, Temporary(self._tree), data, key)
        return self.uri(key)

    async def read(self, key: str) -> bytes:
        return await self._find(key, self._tree.read, checked(key))

    async def chunks(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        offset, missing = start, length
        while missing is None or missing > 0:
            most = BATCH if missing is None else min(BATCH, missing)
            block = await self._find(key, self._tree.block, checked(key), offset, most)
            if not block:
                return
            yield block
            offset += len(block)
            missing = None if missing is None else missing - len(block)

    async def exists(self, key: str) -> bool:
        try:
            await self._find(key, self._tree.look, checked(key))
        except NotFound:
            return False
        return True

    async def sha256(self, key: str) -> str:
        return await self._find(key, self._tree.sha256, checked(key))

    async def move(self, src: str, dst: str, sha256: str | None = None) -> Placed:
        if checked(src) == checked(dst):
            return Placed(dst, self.uri(dst))
        try:
            at = await self._find(src, self._tree.move, src, dst)
        except NotFound:
            return await landed(self, dst, sha256)
        return Placed(at, self.uri(at))

    async def delete(self, key: str) -> None:
        await self._run("delete", key, self._tree.delete, checked(key))

    async def manifests(self, folder: str = "") -> AsyncIterator[str]:
        with closing(self._tree.named(MANIFEST, folder)) as walk:
            while found := await self._run("list", folder, _some, walk):
                for key in found:
                    yield key

    def uri(self, key: str) -> str:
        # Letters of a key need no escapes, and pathlib takes as long over a URI as the ledger over a lease.
        return f"{self._root_uri}/{checked(key)}"

    async def check(self) -> None:
        try:
            await self._run("use", TEMPORARY, _probe, self._tree)
        except StorageError as error:
            raise type(error)(f"{self._setting}: {error}") from error

    async def place(self) -> str:
        """What the first that asked drew: a path does not tell whether two machines see one directory."""
        try:
            return (await self.read(PLACE)).decode("ascii", "replace")
        except NotFound:
            drawn = await self.keep(PLACE, _once(secrets.token_hex(8).encode()))
        if drawn.conflict:
            await self.delete(drawn.key)
        return (await self.read(PLACE)).decode("ascii", "replace")

    async def disk(self) -> disk.Disk:
        return await self._run("look at", TEMPORARY, disk.look_at, self._tree.root)

    async def tidy(self) -> int:
        return await self._run("tidy", TEMPORARY, self._tree.tidy)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)
        self._tree.close()

    async def _find(self, key: str, call: Callable[..., T], *args: object) -> T:
        try:
            return await self._run("read", key, call, *args)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise NotFound(f"nothing stands at {self.uri(key)}.") from error
            raise

    async def _run(self, verb: str, key: str, call: Callable[..., T], *args: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)
        except OSError as error:
            kind = StorageFullError if error.errno in _FULL else StorageError
            raise kind(f"cannot {verb} {self._tree.root / key}: {_reason(error)}.") from error


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _some(walk: Iterator[str]) -> list[str]:
    return list(islice(walk, _LISTED))


def _finish(temporary: Temporary, parts: list[bytes], key: str) -> str:
    temporary.append(parts)
    at = temporary.keep(key)
    temporary.discard()
    return at


def _replace(temporary: Temporary, data: bytes, key: str) -> None:
    try:
        temporary.append([data])
        temporary.replace(key)
    finally:
        temporary.discard()


def _probe(tree: Tree) -> None:
    """Everything that `keep`, `read` and `delete` ask of the file system, among them locks and hard links."""
    temporary = Temporary(tree)
    try:
        temporary.append([b"probe"])
        # One lock guards both names, so that a neighbour that tidies meanwhile leaves them alone.
        key = temporary.keep(f"{TEMPORARY}/{temporary.name}.probe")
        if tree.read(key) != b"probe":
            raise OSError(errno.EIO, "a file read back is not what was written")
        tree.delete(key)
    finally:
        temporary.discard()


def _reason(error: OSError) -> str:
    if error.errno in _IN_THE_WAY:
        return "a symlink, or a file where a folder belongs, stands in the way"
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
