"""A directory tree entered one name at a time, so that no symlink inside it is followed; all of it blocks."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from service.storage.folders import Folders, enter
from service.storage.layout import TEMPORARY, conflict_key
from service.storage.locks import remove_abandoned
from service.storage.store import BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

_FOLDER_MODE = 0o750
_REMEMBERED = 4096
_DEEPEST = 8
"""Folders below one another: no key of ours has as many, and nobody's tree is walked for ever."""
IN_TEMPORARY = f"{TEMPORARY}/"


class Tree:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders = Folders(root)
        # Folders whose own entry this process has made durable; a killed one may have left others.
        self._durable: set[str] = set()

    @contextmanager
    def folder(self, key: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that holds `key`, and the last name of `key`."""
        *folders, name = key.split("/")
        above, last = folders[:-1], folders[-1:]
        with self._above(above, make=make) as descriptor:
            if not last:
                yield descriptor, name
                return
            inner = self._enter_or_make(descriptor, folders) if make else enter(descriptor, *last)
            try:
                yield inner, name
            finally:
                os.close(inner)

    @contextmanager
    def _above(self, names: list[str], *, make: bool) -> Iterator[int]:
        """Of a day's folder, say: thousands of others are made in it, so its descriptor is kept."""
        path = "/".join(names)
        kept = self._folders.take(path) or self._folders.add(path, self._walk(names, make=make))
        try:
            yield kept.descriptor
        finally:
            self._folders.give_back(kept)

    def _walk(self, names: list[str], *, make: bool) -> int:
        descriptor = self._enter_root(make=make)
        for depth, name in enumerate(names, 1):
            above = descriptor
            try:
                descriptor = self._enter_or_make(above, names[:depth]) if make else enter(above, name)
            finally:
                os.close(above)
        return descriptor

    @contextmanager
    def opened(self, key: str) -> Iterator[int]:
        with self.folder(key) as (folder, name), _reading(folder, name) as descriptor:
            yield descriptor

    def read(self, key: str) -> bytes:
        with self.opened(key) as descriptor:
            return b"".join(_blocks(descriptor))

    def look(self, key: str) -> None:
        """FileNotFoundError when nothing stands there."""
        with self.opened(key):
            return

    def block(self, key: str, offset: int, most: int = BATCH) -> bytes:
        """Up to `most` bytes from `offset` on, empty at the end; nothing stays open in between."""
        with self.opened(key) as descriptor:
            return os.pread(descriptor, most, offset)

    def sha256(self, key: str) -> str:
        with self.opened(key) as descriptor:
            return _sha256(descriptor)

    def move(self, src: str, dst: str) -> str:
        """Link, then unlink: after a kill in between both name one file, which the next move sees."""
        with self.folder(src) as (folder, name), _reading(folder, name):
            key = self.place(folder, name, dst, lambda: self.sha256(src))
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)
        return key

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError), self.folder(key) as (folder, name):
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)

    def place(self, source: int, name: str, key: str, sha256: Callable[[], str]) -> str:
        """Give `name` in folder `source` the name `key` too, unless other bytes have it; the key it got."""
        with self.folder(key, make=True) as (folder, wanted):
            if not _link(source, name, folder, wanted) and not _holds(folder, wanted, digest := sha256()):
                key, other = conflict_key(key, digest), conflict_key(wanted, digest)
                if not _link(source, name, folder, other) and not _holds(folder, other, digest):
                    raise FileExistsError(None, "other bytes stand at a name made from this file's hash", key)
            os.fsync(folder)
        return key

    def named(self, name: str, top: str) -> Generator[str]:
        """Keys of all files of that name, or of those in the root's folder `top`."""
        try:
            descriptor = self._walk([top] if top else [], make=False)
        except FileNotFoundError:
            return
        yield from _named(descriptor, f"{top}/" if top else "", name, _DEEPEST)

    def tidy(self) -> int:
        try:
            with self.folder(IN_TEMPORARY) as (folder, _):
                names = os.listdir(folder)  # noqa: PTH208 a path would be looked up anew, following symlinks
                return sum(remove_abandoned(folder, name) for name in names)
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Keeps nothing open any more; whatever is asked next is entered anew."""
        self._folders.close()

    def _enter_root(self, *, make: bool) -> int:
        # The root itself may be a symlink: where it lies is the operator's business.
        flags = os.O_RDONLY | os.O_DIRECTORY
        try:
            return os.open(self.root, flags)
        except FileNotFoundError:
            if not make:
                raise
        self.root.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        above = os.open(self.root.parent, flags)
        try:
            os.fsync(above)
        finally:
            os.close(above)
        return os.open(self.root, flags)

    def _enter_or_make(self, descriptor: int, names: list[str]) -> int:
        """The last of `names` in the folder that the others lead to."""
        name, path = names[-1], "/".join(names)
        try:
            inner = enter(descriptor, name)
        except FileNotFoundError:
            self._durable.discard(path)
            with suppress(FileExistsError):
                os.mkdir(name, _FOLDER_MODE, dir_fd=descriptor)
            inner = enter(descriptor, name)
        if path not in self._durable:
            os.fsync(descriptor)
            if len(self._durable) >= _REMEMBERED:
                self._durable.clear()
            self._durable.add(path)
        return inner


@contextmanager
def _reading(folder: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _named(descriptor: int, path: str, name: str, deepest: int) -> Iterator[str]:
    """Closes the descriptor. What goes meanwhile is not there."""
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and deepest:
                    with suppress(FileNotFoundError):
                        yield from _named(
                            enter(descriptor, entry.name), f"{path}{entry.name}/", name, deepest - 1
                        )
                elif entry.name == name and entry.is_file(follow_symlinks=False):
                    yield f"{path}{name}"
    finally:
        os.close(descriptor)


def _blocks(descriptor: int) -> Iterator[bytes]:
    while block := os.read(descriptor, BATCH):
        yield block


def _sha256(descriptor: int) -> str:
    digest = hashlib.sha256()
    for block in _blocks(descriptor):
        digest.update(block)
    return digest.hexdigest()


def _link(source: int, name: str, folder: int, wanted: str) -> bool:
    """False when the name is taken: unlike rename, link never replaces, so of two writers one is first."""
    try:
        os.link(name, wanted, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    return True


def _holds(folder: int, name: str, sha256: str) -> bool:
    with _reading(folder, name) as descriptor:
        return _sha256(descriptor) == sha256
