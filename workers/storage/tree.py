"""A directory tree entered one name at a time, so that no symlink inside it is followed; all of it blocks.

An unfinished file is known to be alive by its lock, not by the process id in its name: the kernel drops a
lock with its owner, while ids come round again and mean nothing in the next container.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from service import failpoints
from workers.storage.layout import TEMPORARY, conflict_key
from workers.storage.store import BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750
_REMEMBERED = 4096
_IN_TEMPORARY = f"{TEMPORARY}/"


class Tree:
    def __init__(self, root: Path) -> None:
        self.root = root
        # Folders whose own entry this process has made durable; a killed one may have left others.
        self._durable: set[str] = set()

    @contextmanager
    def folder(self, key: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that holds `key`, and the last name of `key`."""
        *parents, name = key.split("/")
        descriptor = self._enter_root(make=make)
        try:
            for depth, parent in enumerate(parents, 1):
                path = "/".join(parents[:depth])
                inner = self._enter_or_make(descriptor, parent, path) if make else _enter(descriptor, parent)
                os.close(descriptor)
                descriptor = inner
            yield descriptor, name
        finally:
            os.close(descriptor)

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

    def block(self, key: str, offset: int) -> bytes:
        """Up to one batch from `offset` on, empty at the end; nothing stays open in between."""
        with self.opened(key) as descriptor:
            return os.pread(descriptor, BATCH, offset)

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

    def tidy(self) -> int:
        try:
            with self.folder(_IN_TEMPORARY) as (folder, _):
                names = os.listdir(folder)  # noqa: PTH208 a path would be looked up anew, following symlinks
                return sum(_remove_abandoned(folder, name) for name in names)
        except FileNotFoundError:
            return 0

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

    def _enter_or_make(self, descriptor: int, name: str, path: str) -> int:
        try:
            inner = _enter(descriptor, name)
        except FileNotFoundError:
            self._durable.discard(path)
            with suppress(FileExistsError):
                os.mkdir(name, _FOLDER_MODE, dir_fd=descriptor)
            inner = _enter(descriptor, name)
        if path not in self._durable:
            os.fsync(descriptor)
            if len(self._durable) >= _REMEMBERED:
                self._durable.clear()
            self._durable.add(path)
        return inner


class Temporary:
    """One unfinished file under `.tmp/`; opened by its first use, gone after `discard`."""

    def __init__(self, tree: Tree) -> None:
        self.name = ""
        self.bytes = 0
        self._tree = tree
        self._sha256 = hashlib.sha256()
        self._descriptor: int | None = None
        # The folder it was made in, whatever stands at that path by now: a mount may go and come back.
        self._folder: int | None = None
        # A cancelled caller discards while the thread it left behind is still writing.
        self._guard = threading.Lock()
        self._over = False

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def append(self, parts: list[bytes]) -> None:
        with self._guard:
            descriptor = self._open()
            data = memoryview(b"".join(parts))
            self._sha256.update(data)
            self.bytes += len(data)
            while data:
                data = data[os.write(descriptor, data) :]

    def keep(self, key: str) -> str:
        """The key at which the file is now durable."""
        with self._synced() as folder:
            failpoints.reach_in_thread("store.before_rename")
            kept = self._tree.place(folder, self.name, key, lambda: self.sha256)
            failpoints.reach_in_thread("store.after_rename")
            return kept

    def replace(self, key: str) -> None:
        with self._synced() as folder, self._tree.folder(key, make=True) as (target, name):
            os.rename(self.name, name, src_dir_fd=folder, dst_dir_fd=target)
            os.fsync(target)

    def discard(self) -> None:
        with self._guard:
            self._over = True
            try:
                if self._descriptor is not None:
                    with suppress(FileNotFoundError):
                        os.unlink(self.name, dir_fd=self._folder)
            finally:
                for descriptor in (self._descriptor, self._folder):
                    if descriptor is not None:
                        os.close(descriptor)
                self._descriptor = self._folder = None

    @contextmanager
    def _synced(self) -> Iterator[int]:
        with self._guard:
            os.fsync(self._open())
            with self._tree.folder(_IN_TEMPORARY) as (folder, _):
                yield folder

    def _open(self) -> int:
        if self._over:
            raise FileNotFoundError(None, "the unfinished file was discarded", self.name)
        if self._descriptor is not None:
            return self._descriptor
        with self._tree.folder(_IN_TEMPORARY, make=True) as (folder, _):
            if self._folder is None:
                self._folder = os.dup(folder)
            while self._descriptor is None:
                self.name = f"{os.getpid()}-{secrets.token_hex(8)}"
                self._descriptor = _create_locked(folder, self.name)
        return self._descriptor


def _enter(descriptor: int, name: str) -> int:
    return os.open(name, _ENTER, dir_fd=descriptor)


@contextmanager
def _reading(folder: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        yield descriptor
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


def _create_locked(folder: int, name: str) -> int | None:
    """None when a tidying process was faster than our lock; the name is then lost."""
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE_MODE, dir_fd=folder)
    if _lock(descriptor) and os.fstat(descriptor).st_nlink:
        os.fchmod(descriptor, _FILE_MODE)
        return descriptor
    os.close(descriptor)
    return None


def _remove_abandoned(folder: int, name: str) -> bool:
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return False
        descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        if not _lock(descriptor):
            return False
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    finally:
        os.close(descriptor)
    return True


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
