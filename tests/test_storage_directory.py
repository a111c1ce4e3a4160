"""A directory as a store: what a file system adds in dangers and duties."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from service.storage import locks
from service.storage.directory import DirectoryStore
from service.storage.store import StorageError
from service.storage.temporary import Temporary
from service.storage.tree import Tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

KEY = "m/2026/11/22/id/0.png"

WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from service.storage.directory import DirectoryStore

async def endless():
    yield bytes(3_000_000)
    print("writing", flush=True)
    await asyncio.Event().wait()

store = DirectoryStore(Path(sys.argv[1]), setting="SETTING", threads=1)
asyncio.run(store.keep("m/2026/11/22/id/0.png", endless()))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def store(root: Path) -> Iterator[DirectoryStore]:
    made = DirectoryStore(root, setting="SETTING", threads=4)
    yield made
    asyncio.run(made.aclose())


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def files(root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or path.is_file()
    )


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The nearest thing to a full disk that needs no disk of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_files_are_for_the_owner_and_readable_by_the_group_whatever_the_umask(
    store: DirectoryStore, root: Path, mask: int
) -> None:
    with umask(mask):
        asyncio.run(store.keep(KEY, stream(b"one")))
        asyncio.run(store.write("m/manifest.json", b"{}"))
    assert {(root / name).stat().st_mode & 0o777 for name in files(root)} == {0o640}
    assert all(path.stat().st_mode & 0o027 == 0 for path in root.rglob("*") if path.is_dir())


def test_a_file_has_one_name_once_it_is_kept(store: DirectoryStore, root: Path) -> None:
    asyncio.run(store.keep(KEY, stream(b"one")))
    assert files(root) == [KEY]
    assert (root / KEY).stat().st_nlink == 1


def test_the_file_and_every_new_folder_are_synced_before_keep_returns(
    store: DirectoryStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = os.fsync

    def recording(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    asyncio.run(store.keep(KEY, stream(b"one")))
    file = root / KEY
    places = [file, *file.parents[:7]]
    assert [place for place in places if place.stat().st_ino not in synced] == []
    assert synced.index(file.stat().st_ino) < synced.index(file.parent.stat().st_ino)
    synced.clear()
    asyncio.run(store.keep("m/2026/11/22/id/1.png", stream(b"two")))
    assert len(synced) == 2


@pytest.mark.parametrize("link", ["m", "m/2026/11/22", "m/2026/11/22/id", ".tmp"])
def test_nothing_is_written_or_read_through_a_symlinked_folder(
    store: DirectoryStore, root: Path, tmp_path: Path, link: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(outside)

    async def story() -> None:
        with pytest.raises(StorageError, match="symlink"):
            await store.keep(KEY, stream(b"one"))
        with pytest.raises(StorageError, match="symlink"):
            await store.write(KEY, b"one")

    asyncio.run(story())
    assert list(outside.iterdir()) == []
    if link != ".tmp":
        (outside / "0.png").write_bytes(b"secret")
        with pytest.raises(StorageError, match="symlink"):
            asyncio.run(store.read(f"{link}/0.png"))


def test_a_symlink_at_a_files_own_name_is_neither_read_nor_moved_nor_written_through(
    store: DirectoryStore, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "secret"
    outside.write_bytes(b"secret")
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).symlink_to(outside)

    async def story() -> None:
        for refused in (store.read(KEY), store.move(KEY, "m/x"), store.keep(KEY, stream(b"one"))):
            with pytest.raises(StorageError, match="symlink"):
                await refused
        await store.write(KEY, b"one")

    asyncio.run(story())
    assert outside.read_bytes() == b"secret"
    assert not (root / KEY).is_symlink()


def test_the_root_itself_may_be_a_symlink(root: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    root.symlink_to(tmp_path / "disk")
    store = DirectoryStore(root, setting="SETTING", threads=1)
    kept = asyncio.run(store.keep(KEY, stream(b"one")))
    assert kept.uri == f"file://{root}/{KEY}"
    assert files(tmp_path / "disk") == [KEY]


def test_a_killed_writer_leaves_only_a_temporary_file_that_tidy_removes(
    store: DirectoryStore, root: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, root], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout
            assert writer.stdout.readline() == b"writing\n"
            assert asyncio.run(store.tidy()) == 0, "a living writer's file stays"
        finally:
            writer.kill()
    assert [name.split("/")[0] for name in files(root)] == [".tmp"]
    assert asyncio.run(store.tidy()) == 1
    assert files(root) == []


def test_a_root_that_went_away_and_came_back_has_no_temporary_file(
    store: DirectoryStore, root: Path, tmp_path: Path
) -> None:
    """Found by the fault run: the unfinished file was looked for at the path, where another folder stood."""

    def take_away() -> None:
        root.rename(tmp_path / "away")

    async def swapped() -> AsyncIterator[bytes]:
        yield bytes(3_000_000)
        yield b"and more"
        take_away()
        raise RuntimeError("the download broke off")

    with pytest.raises(RuntimeError):
        asyncio.run(store.keep(KEY, swapped()))
    (tmp_path / "away").rename(root)
    assert files(root) == []


def test_tidy_looks_at_files_in_its_own_folder_only(store: DirectoryStore, root: Path) -> None:
    """A model may be called `.tmp`."""
    assert asyncio.run(store.tidy()) == 0, "nothing was ever written"
    asyncio.run(store.keep(".tmp/2026/11/22/id/0.png", stream(b"one")))
    (root / ".tmp" / "link").symlink_to(root)
    (root / ".tmp" / "1-left").touch()
    assert asyncio.run(store.tidy()) == 1
    assert files(root) == [".tmp/2026/11/22/id/0.png", ".tmp/link"]


def test_tidying_beside_writers_and_checks_disturbs_none(store: DirectoryStore, root: Path) -> None:
    async def story() -> None:
        keeping = [store.keep(f"m/id/{number}.png", stream(b"x" * 2_000_000)) for number in range(20)]
        checking = [store.check() for _ in range(5)]
        tidying = [store.tidy() for _ in range(50)]
        await asyncio.gather(*keeping, *checking, *tidying)

    asyncio.run(story())
    assert len(files(root)) == 20


def test_a_temporary_name_lost_to_a_tidying_neighbour_is_replaced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, first = locks._lock, [True]

    def late(descriptor: int) -> bool:
        if first.pop():
            next((root / ".tmp").iterdir()).unlink()
        monkeypatch.setattr(locks, "_lock", lock)
        return lock(descriptor)

    monkeypatch.setattr(locks, "_lock", late)
    temporary = Temporary(Tree(root))
    temporary.append([b"one"])
    assert temporary.keep("0.png") == "0.png"
    temporary.discard()
    assert files(root) == ["0.png"]


def test_a_write_that_fails_names_the_place_and_the_reason_and_leaves_nothing(
    store: DirectoryStore, root: Path
) -> None:
    with (
        file_size_limit(1 << 20),
        pytest.raises(StorageError, match=f"cannot write {root}/{KEY}: File too large"),
    ):
        asyncio.run(store.keep(KEY, stream(*[bytes(500_000)] * 6)))
    assert files(root) == []


def test_a_check_that_fails_names_the_setting(root: Path) -> None:
    root.write_bytes(b"a file, not a folder")
    store = DirectoryStore(root, setting="SETTING", threads=1)
    with pytest.raises(StorageError, match=r"^SETTING: cannot use .*stands in the way\.$"):
        asyncio.run(store.check())


def test_a_stream_ends_well_before_its_last_byte(store: DirectoryStore) -> None:
    """A reader that goes away leaves no descriptor open."""

    async def story() -> int:
        await store.keep(KEY, stream(bytes(3_000_000)))
        async for chunk in store.chunks(KEY):
            await store.aclose()
            return len(chunk)
        return 0

    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 only its length is wanted
    assert 0 < asyncio.run(story()) < 3_000_000
    assert len(os.listdir("/dev/fd")) <= before + 1  # noqa: PTH208 the same


def test_files_in_flight_need_no_more_threads_than_given(root: Path) -> None:
    async def story() -> None:
        store = DirectoryStore(root, setting="SETTING", threads=1)
        await asyncio.gather(*(store.keep(f"m/{n}.png", stream(bytes([n]) * 1_500_000)) for n in range(10)))
        await store.aclose()

    asyncio.run(story())
    assert len(files(root)) == 10


@pytest.mark.anyio
async def test_all_who_see_a_directory_name_it_alike_and_no_other_one_so(tmp_path: Path) -> None:
    """Also when they ask first at the same moment; the name outlives a tidying and is no file of ours."""
    roots = [tmp_path / "a"] * 4 + [tmp_path / "b"]
    stores = [DirectoryStore(root, setting="SETTING", threads=2) for root in roots]
    first, *same, other = await asyncio.gather(*(store.place() for store in stores))
    assert set(same) == {first} != {other}
    await stores[0].tidy()
    assert await stores[1].place() == first
    assert [path.name for path in (tmp_path / "a").rglob("*") if path.is_file()] == [".PLACE"]
    assert [key async for key in stores[0].manifests()] == []
    for store in stores:
        await store.aclose()
