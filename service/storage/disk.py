"""How much room a file system has, and how much of it stays free for others.

Counted in bytes, because what others need does not grow with the disk; and in names, which run out unseen.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

KEPT_BYTES = 1 << 30
KEPT_NAMES = 10_000
KEPT_SHARE = 50
"""Of a small disk, one part in so many is kept instead."""


class Disk(NamedTuple):
    """As a user without privileges finds it: what is reserved for root is not free."""

    bytes: int
    """0 where a file system does not tell."""
    free_bytes: int
    names: int
    """Files and folders that it can hold; 0 where only bytes limit them."""
    free_names: int


def look_at(path: Path) -> Disk:
    """The file system that `path` stands on, or will stand on once it is made. Raises OSError."""
    try:
        found = os.statvfs(path)
    except FileNotFoundError:
        if path == path.parent:
            raise
        return look_at(path.parent)
    return Disk(
        found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail
    )


def kept_bytes(disk: Disk, setting: int | None) -> int:
    """Bytes that stay free: the setting, else 1 GiB, or 2 % of a disk smaller than 50 GiB."""
    return min(KEPT_BYTES, disk.bytes // KEPT_SHARE) if setting is None else setting


def lacking(disk: Disk, setting: int | None, *, more: int = 0, times: float = 1) -> str:
    """What is missing in words, "" when nothing is, for `more` bytes above `times` what is kept free."""
    keep = kept_bytes(disk, setting)
    if disk.bytes and disk.free_bytes - more < keep * times:
        coming = f", {_about(more)} are to come" if more else ""
        return f"{_about(disk.free_bytes)} of the disk are free, {_about(keep)} are to stay free{coming}"
    keep = min(KEPT_NAMES, disk.names // KEPT_SHARE)
    if disk.names and disk.free_names < keep * times:
        return f"{disk.free_names} more files (inodes) fit on the disk, {keep} are to stay free"
    return ""


def _about(size: int) -> str:
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >> power:
            return f"{size / (1 << power):.1f} {unit}"
    return f"{size} bytes"
