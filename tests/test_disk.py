"""What stays free on a disk, and when there is room: a pure decision over what a file system says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.storage.disk import KEPT_BYTES, Disk, kept_bytes, lacking, look_at
from tests.disks import small_disk

if TYPE_CHECKING:
    from pathlib import Path

MIB, GIB = 1 << 20, 1 << 30
ENOUGH = 10**9
"""Inodes."""


def of_bytes(free: int, total: int = 100 * GIB) -> Disk:
    return Disk(total, free, ENOUGH, ENOUGH)


def of_names(free: int, total: int) -> Disk:
    return Disk(100 * GIB, 100 * GIB, total, free)


@pytest.mark.parametrize(
    ("total", "setting", "kept"),
    [
        (1000 * GIB, None, GIB),
        (50 * GIB, None, GIB),
        (10 * GIB, None, 10 * GIB // 50),
        (0, None, 0),
        (10 * GIB, 5 * GIB, 5 * GIB),
        (1000 * GIB, 1, 1),
    ],
)
def test_a_gibibyte_stays_free_or_a_fiftieth_of_a_small_disk_or_what_is_set(
    total: int, setting: int | None, kept: int
) -> None:
    assert kept_bytes(of_bytes(0, total), setting) == kept


@pytest.mark.parametrize(
    ("free", "more", "times", "fits"),
    [
        (KEPT_BYTES, 0, 1, True),
        (KEPT_BYTES - 1, 0, 1, False),
        (KEPT_BYTES + 10, 10, 1, True),
        (KEPT_BYTES + 9, 10, 1, False),
        (KEPT_BYTES, 0, 1.25, False),
        (2 * KEPT_BYTES, 0, 1.25, True),
        (0, 0, 1, False),
    ],
)
def test_what_comes_fits_above_what_is_to_stay_free(free: int, more: int, times: float, fits: bool) -> None:
    assert (lacking(of_bytes(free), None, more=more, times=times) == "") is fits


@pytest.mark.parametrize(
    ("free", "total", "fits"),
    [(10_000, 10**7, True), (9_999, 10**7, False), (20, 1_000, True), (19, 1_000, False), (0, 0, True)],
)
def test_a_disk_runs_out_of_inodes_too(free: int, total: int, fits: bool) -> None:
    """A file system without a limit says that it has none at all."""
    assert (lacking(of_names(free, total), None) == "") is fits


def test_a_file_system_that_does_not_tell_its_size_is_never_short() -> None:
    assert lacking(Disk(0, 0, 0, 0), 5 * GIB) == ""


def test_the_words_say_what_is_there_what_stays_and_what_is_to_come() -> None:
    said = lacking(of_bytes(12 * MIB), GIB * 3 // 2, more=7 * 1024)
    assert said == "12.0 MiB of the disk are free, 1.5 GiB are to stay free, 7.0 KiB are to come"
    assert lacking(of_names(5, 1000), None) == "5 more files (inodes) fit on the disk, 20 are to stay free"


def test_a_folder_that_is_still_to_be_made_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m", names=100) as disk:
        (disk / "file").write_bytes(bytes(MIB // 2))
        for path in (disk, disk / "a" / "b"):
            found = look_at(path)
            assert (found.bytes, found.free_bytes, found.names) == (MIB, MIB // 2, 100)
            assert 0 < found.free_names < 100
