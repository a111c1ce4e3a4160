"""What tests do to disks: a small one to fill (a tmpfs, where we may mount one), a folder taken away."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""As in linux/fcntl.h and linux/fs.h."""


@contextmanager
def small_disk(folder: Path, size: str, *, names: int = 0) -> Iterator[Path]:
    """An empty file system at `folder`, of a size like `512k`, and as many inodes (0: enough)."""
    folder.mkdir()
    options = f"size={size}" + (f",nr_inodes={names}" if names else "")
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def grow(folder: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def exchange(one: Path, other: Path) -> None:
    """Each has the other's name from then on, without a moment in which one of the names is free."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(one))
