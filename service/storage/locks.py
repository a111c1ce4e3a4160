"""An unfinished file is known to be alive by its lock, not by the process id in its name.

The kernel drops a lock with its owner, while ids come round again and mean nothing in the next container.
"""

from __future__ import annotations

import fcntl
import os
import stat

_FILE_MODE = 0o640


def create_locked(folder: int, name: str) -> int | None:
    """None when a tidying process was faster than our lock; the name is then lost."""
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE_MODE, dir_fd=folder)
    if _lock(descriptor) and (found := os.fstat(descriptor)).st_nlink:
        if stat.S_IMODE(found.st_mode) != _FILE_MODE:
            os.fchmod(descriptor, _FILE_MODE)
        return descriptor
    os.close(descriptor)
    return None


def remove_abandoned(folder: int, name: str) -> bool:
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
