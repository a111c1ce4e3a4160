"""A file that is not finished: written and hashed beside all others, then durable at its name in one step."""

from __future__ import annotations

import hashlib
import itertools
import os
import secrets
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from service import failpoints
from service.storage.locks import create_locked
from service.storage.tree import IN_TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.storage.tree import Tree

_RUN, _NUMBERS = secrets.token_hex(4), itertools.count()


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
        self._moved = False

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
            self._moved = True
            os.fsync(target)

    def discard(self) -> None:
        with self._guard:
            self._over = True
            try:
                if self._descriptor is not None and not self._moved:
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
            if self._folder is None:
                raise RuntimeError("an open file has its folder")
            yield self._folder

    def _open(self) -> int:
        if self._over:
            raise FileNotFoundError(None, "the unfinished file was discarded", self.name)
        if self._descriptor is not None:
            return self._descriptor
        with self._tree.folder(IN_TEMPORARY, make=True) as (folder, _):
            if self._folder is None:
                self._folder = os.dup(folder)
            while self._descriptor is None:
                self.name = f"{os.getpid()}-{_RUN}-{next(_NUMBERS)}"
                self._descriptor = create_locked(folder, self.name)
        return self._descriptor
