"""Kept descriptors of folders: always of what stands at the path now, and each closed in the end."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from service.storage.folders import MOST, Folders, Kept, enter
from service.storage.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def open_now() -> int:
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - names will do


def is_open(kept: Kept) -> bool:
    try:
        os.fstat(kept.descriptor)
    except OSError:
        return False
    return True


class Room:
    """Folders of a root, taken as a tree takes them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders = Folders(root)

    def add(self, path: str) -> Kept:
        (self.root / path).mkdir(parents=True, exist_ok=True)
        return self.folders.add(path, os.open(self.root / path, os.O_RDONLY | os.O_DIRECTORY))

    def keep(self, path: str) -> Kept:
        kept = self.add(path)
        self.folders.give_back(kept)
        return kept


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """Whatever a test does with it, no descriptor is left behind."""
    before = open_now()
    room = Room(tmp_path)
    yield room
    room.folders.close()
    assert open_now() == before


def test_a_folder_is_kept_and_taken_again(room: Room) -> None:
    kept = room.keep("a/b")
    assert room.folders.take("a/b") is kept
    assert is_open(kept)
    room.folders.give_back(kept)
    assert is_open(kept)


def test_one_that_was_never_entered_is_not_here(room: Room) -> None:
    room.keep("a/b")
    assert room.folders.take("a") is None


def removed(folder: Path) -> None:
    folder.rmdir()


def replaced(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()


def replaced_by_a_symlink(folder: Path) -> None:
    folder.rmdir()
    other = folder.with_name("elsewhere")
    other.mkdir()
    folder.symlink_to(other)


def replaced_by_a_file(folder: Path) -> None:
    folder.rmdir()
    folder.touch()


CHANGES = [removed, replaced, replaced_by_a_symlink, replaced_by_a_file]


@pytest.mark.parametrize("change", CHANGES)
def test_one_that_no_longer_stands_there_is_let_go(room: Room, change: Callable[[Path], None]) -> None:
    kept = room.keep("a/b")
    change(room.root / "a" / "b")
    assert room.folders.take("a/b") is None
    assert not is_open(kept)


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_uses_one_that_is_let_go_has_it_to_his_end(
    room: Room, change: Callable[[Path], None]
) -> None:
    kept = room.add("a/b")
    change(room.root / "a" / "b")
    assert room.folders.take("a/b") is None
    assert is_open(kept)
    room.folders.give_back(kept)
    assert not is_open(kept)


def test_of_a_replaced_one_the_new_one_is_kept(room: Room) -> None:
    room.keep("a")
    replaced(room.root / "a")
    assert room.folders.take("a") is None
    anew = room.keep("a")
    assert room.folders.take("a") is anew
    assert anew.identity[1] == (room.root / "a").stat().st_ino
    room.folders.give_back(anew)


def test_the_least_used_goes_first_and_no_more_than_so_many_stay(room: Room) -> None:
    before = open_now()
    kept = [room.keep(f"f{n}") for n in range(MOST)]
    used = room.folders.take("f0")
    assert used is kept[0]
    room.folders.give_back(used)
    room.keep("one more")
    assert open_now() == before + MOST
    assert room.folders.take("f1") is None
    assert [is_open(one) for one in kept] == [True, False, *[True] * (MOST - 2)]


def test_one_that_somebody_uses_is_not_closed_when_it_has_to_go(room: Room) -> None:
    before = open_now()
    first = room.add("first")
    for n in range(MOST + 5):
        room.keep(f"f{n}")
    assert room.folders.take("first") is None
    assert os.fstat(first.descriptor).st_ino == (room.root / "first").stat().st_ino
    assert open_now() == before + MOST + 1
    room.folders.give_back(first)
    assert open_now() == before + MOST


def test_of_two_threads_that_enter_the_same_one_both_may_use_it_and_one_is_kept(room: Room) -> None:
    before = open_now()
    both = threading.Barrier(2)

    def entered() -> Kept:
        both.wait(10)
        return room.add("a/b")

    with ThreadPoolExecutor(2) as threads:
        first, second = (future.result() for future in [threads.submit(entered) for _ in range(2)])
    assert first.descriptor != second.descriptor
    assert is_open(first)
    assert is_open(second)
    room.folders.give_back(first)
    room.folders.give_back(second)
    assert open_now() == before + 1
    kept = room.folders.take("a/b")
    assert kept in (first, second)
    assert kept is not None
    room.folders.give_back(kept)


def test_two_who_use_one_both_have_it_until_the_last_has_given_it_back(room: Room) -> None:
    first = room.add("a")
    second = room.folders.take("a")
    assert second is first
    room.folders.close()
    room.folders.give_back(first)
    assert is_open(second)
    room.folders.give_back(second)
    assert not is_open(second)


def test_closing_keeps_what_is_in_use_and_what_is_asked_next_is_entered_anew(room: Room) -> None:
    used, resting = room.add("used"), room.keep("resting")
    room.folders.close()
    assert (is_open(used), is_open(resting)) == (True, False)
    assert room.folders.take("used") is None
    room.folders.give_back(used)
    assert not is_open(used)
    assert room.folders.take("resting") is None


def test_threads_that_come_and_go_while_folders_change_always_have_the_right_one(tmp_path: Path) -> None:
    before = open_now()
    tree = Tree(tmp_path)

    def use(number: int) -> None:
        for turn in range(50):
            with tree.folder(f"day{(number + turn) % (MOST + 8)}/id/file", make=True) as (folder, _):
                os.fstat(folder)
            if turn % 7 == 0:
                tree.close()

    with ThreadPoolExecutor(8) as threads:
        for future in [threads.submit(use, number) for number in range(8)]:
            future.result()
    tree.close()
    assert open_now() == before


def test_a_tree_does_not_follow_a_symlink_in_the_place_of_a_folder_it_has_kept(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (outside / "id").mkdir(parents=True)
    (outside / "id" / "file").write_bytes(b"of somebody else")
    tree = Tree(root)
    with tree.folder("day/id/file", make=True):
        pass
    (root / "day" / "id").rmdir()
    (root / "day").rmdir()
    (root / "day").symlink_to(outside)
    for make in (False, True):
        with pytest.raises(OSError, match=r"symbolic links|directory"), tree.folder("day/id/file", make=make):
            pass
    tree.close()


def test_a_tree_whose_root_comes_back_as_another_one_uses_that(tmp_path: Path) -> None:
    """As a mount does."""
    root = tmp_path / "root"
    tree = Tree(root)
    with tree.folder("day/id/file", make=True):
        pass
    root.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError), tree.folder("day/id/file"):
        pass
    with tree.folder("day/id/file", make=True) as (folder, _):
        assert os.fstat(folder).st_ino == (root / "day" / "id").stat().st_ino
    tree.close()


def test_entering_follows_no_symlink(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    above = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    os.close(enter(above, "real"))
    with pytest.raises(OSError, match=r"symbolic links|directory"):
        enter(above, "link")
    os.close(above)
