"""Descriptors of the folders used last: to enter one by every name above it is a dozen system calls."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MOST = 32
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def enter(descriptor: int, name: str) -> int:
    """The folder of that name in another one; OSError for a symlink."""
    return os.open(name, _ENTER, dir_fd=descriptor)


@dataclass(slots=True, eq=False)
class Kept:
    path: str
    descriptor: int
    identity: tuple[int, int]
    """Device and inode."""
    users: int = 1
    dropped: bool = False


class Folders:
    """Below `root`; shared by threads. Whoever takes one gives it back."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def take(self, path: str) -> Kept | None:
        """None when it is not here, or something else stands at that path by now: a mount may come and go."""
        if path not in self._kept:
            return None
        try:
            stands = _identity((self._root / path).stat())
        except OSError:
            stands = None
        with self._lock:
            kept = self._kept.get(path)
            if kept is None:
                return None
            if kept.identity != stands:
                self._drop(kept)
                return None
            self._kept.move_to_end(path)
            kept.users += 1
            return kept

    def add(self, path: str, descriptor: int) -> Kept:
        """One that was entered name by name."""
        kept = Kept(path, descriptor, _identity(os.fstat(descriptor)))
        with self._lock:
            if path in self._kept:
                # Another thread was faster; ours goes when it is given back.
                kept.dropped = True
            else:
                self._kept[path] = kept
            while len(self._kept) > MOST:
                self._drop(next(iter(self._kept.values())))
        return kept

    def give_back(self, kept: Kept) -> None:
        with self._lock:
            kept.users -= 1
            if kept.dropped and not kept.users:
                os.close(kept.descriptor)

    def close(self) -> None:
        with self._lock:
            for kept in [*self._kept.values()]:
                self._drop(kept)

    def _drop(self, kept: Kept) -> None:
        del self._kept[kept.path]
        kept.dropped = True
        if not kept.users:
            os.close(kept.descriptor)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
