"""What every store promises, tried on a directory and on a real S3 server."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from service.errors import NotFound
from service.storage.directory import DirectoryStore
from service.storage.objects import ObjectStore
from service.storage.store import StorageError, length, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from service.storage import Store
    from tests.seaweed import Seaweed

pytest_plugins = ["tests.seaweed"]

KEY = "m/2026/11/22/id/0.png"
ONE, OTHER = b"one" * 1000, b"other" * 1000


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store
    if request.param == "directory":
        made = DirectoryStore(tmp_path / "root", setting="SETTING", threads=4)
    else:
        server: Seaweed = request.getfixturevalue("s3")
        made = ObjectStore(f"s3://{server.bucket}/{secrets.token_hex(8)}", setting="SETTING", threads=4)
    yield made
    asyncio.run(made.aclose())


async def stream(data: bytes, piece: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), piece):
        yield data[start : start + piece]


async def breaking(data: bytes, error: BaseException) -> AsyncIterator[bytes]:
    async for chunk in stream(data):
        yield chunk
    raise error


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 65_536, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_what_is_kept_is_read_back_and_known_by_its_hash(store: Store, size: int) -> None:
    data = secrets.token_bytes(size)

    async def story() -> None:
        kept = await store.keep(KEY, stream(data))
        assert kept == (KEY, store.uri(KEY), sha256(data), size, False)
        assert await store.read(KEY) == data
        assert b"".join([chunk async for chunk in store.chunks(KEY)]) == data
        assert await store.sha256(KEY) == sha256(data)

    asyncio.run(story())


def test_a_part_of_a_file_is_read_from_where_it_begins(store: Store) -> None:
    data = secrets.token_bytes(2_500_000)

    async def story() -> None:
        await store.keep(KEY, stream(data))
        for start, size in ((0, 1), (7, 2_000_000), (2_499_999, 1), (1_000_000, None), (2_499_000, 5_000)):
            part = b"".join([chunk async for chunk in store.chunks(KEY, start, size)])
            assert part == data[start : None if size is None else start + size]

    asyncio.run(story())


def test_keeping_the_same_bytes_again_is_the_first_time_again(store: Store) -> None:
    async def story() -> None:
        assert await store.keep(KEY, stream(ONE)) == await store.keep(KEY, stream(ONE))

    asyncio.run(story())


def test_of_different_bytes_the_first_stay_and_the_others_stand_beside_them(store: Store) -> None:
    async def story() -> None:
        await store.keep(KEY, stream(ONE))
        second = await store.keep(KEY, stream(OTHER))
        assert second.conflict
        assert second.key == f"m/2026/11/22/id/0.{sha256(OTHER)[:8]}.png"
        assert second.uri == store.uri(second.key)
        assert await store.keep(KEY, stream(OTHER)) == second
        assert [await store.read(KEY), await store.read(second.key)] == [ONE, OTHER]

    asyncio.run(story())


def test_of_writers_at_the_same_moment_exactly_one_is_first(store: Store) -> None:
    bodies = [bytes([number]) * 50_000 for number in range(4)]

    async def story() -> None:
        kept = await asyncio.gather(*(store.keep(KEY, stream(body)) for body in bodies))
        assert sorted(one.conflict for one in kept) == [False, True, True, True]
        assert len({one.key for one in kept}) == 4
        assert [await store.read(one.key) for one in kept] == bodies

    asyncio.run(story())


@pytest.mark.parametrize("error", [OSError("reset"), ValueError("bad"), StorageError("far"), EOFError()])
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_what_the_stream_raises_goes_through_unchanged_and_leaves_nothing(
    store: Store, size: int, error: Exception
) -> None:
    async def story() -> None:
        with pytest.raises(type(error)) as raised:
            await store.keep(KEY, breaking(bytes(size), error))
        assert raised.value is error
        with pytest.raises(NotFound):
            await store.read(KEY)
        assert await store.tidy() == 0

    asyncio.run(story())


def test_a_cancelled_keep_closes_its_stream_and_leaves_nothing(store: Store) -> None:
    async def story() -> None:
        stalled, closed = asyncio.Event(), asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            try:
                yield bytes(3_000_000)
                stalled.set()
                await asyncio.Event().wait()
            finally:
                closed.set()

        keeping = asyncio.create_task(store.keep(KEY, stalling()))
        await stalled.wait()
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
        assert closed.is_set()
        assert await store.tidy() == 0

    asyncio.run(story())


def test_writing_replaces(store: Store) -> None:
    async def story() -> None:
        assert await store.write(KEY, ONE) == store.uri(KEY)
        await store.write(KEY, OTHER)
        assert await store.read(KEY) == OTHER

    asyncio.run(story())


def test_a_reader_never_sees_half_of_a_write(store: Store) -> None:
    async def story() -> None:
        await store.write(KEY, ONE)
        writing = [store.write(KEY, body) for body in (OTHER, ONE, OTHER, ONE)]
        reading = [store.read(KEY) for _ in range(8)]
        results = await asyncio.gather(*writing, *reading)
        assert set(results[4:]) <= {ONE, OTHER}

    asyncio.run(story())


def test_a_move_carries_the_file_over_and_may_be_repeated(store: Store) -> None:
    async def story() -> None:
        await store.keep(f"held/{KEY}", stream(ONE))
        for _ in range(2):
            assert await store.move(f"held/{KEY}", KEY) == (KEY, store.uri(KEY))
            assert await store.read(KEY) == ONE
            with pytest.raises(NotFound):
                await store.read(f"held/{KEY}")

    asyncio.run(story())


def test_a_move_onto_the_same_bytes_leaves_one_file(store: Store) -> None:
    """As after a kill between its two halves."""

    async def story() -> None:
        await store.keep(f"held/{KEY}", stream(ONE))
        await store.keep(KEY, stream(ONE))
        assert (await store.move(f"held/{KEY}", KEY)).key == KEY
        with pytest.raises(NotFound):
            await store.read(f"held/{KEY}")

    asyncio.run(story())


def test_a_move_onto_other_bytes_goes_beside_them_and_is_found_there_again(store: Store) -> None:
    async def story() -> None:
        await store.keep(f"held/{KEY}", stream(ONE))
        await store.keep(KEY, stream(OTHER))
        moved = await store.move(f"held/{KEY}", KEY, sha256(ONE))
        assert moved.key == f"m/2026/11/22/id/0.{sha256(ONE)[:8]}.png"
        assert await store.move(f"held/{KEY}", KEY, sha256(ONE)) == moved
        assert [await store.read(KEY), await store.read(moved.key)] == [OTHER, ONE]

    asyncio.run(story())


def test_a_move_onto_itself_loses_nothing(store: Store) -> None:
    async def story() -> None:
        await store.keep(KEY, stream(ONE))
        assert (await store.move(KEY, KEY)).uri == store.uri(KEY)
        assert await store.read(KEY) == ONE

    asyncio.run(story())


def test_a_move_of_what_is_nowhere_says_so(store: Store) -> None:
    with pytest.raises(NotFound, match="nothing stands at"):
        asyncio.run(store.move(f"held/{KEY}", KEY, sha256(ONE)))


def test_deleting_may_be_repeated(store: Store) -> None:
    async def story() -> None:
        await store.keep(KEY, stream(ONE))
        await store.delete(KEY)
        await store.delete(KEY)
        with pytest.raises(NotFound):
            await store.read(KEY)

    asyncio.run(story())


def test_what_exists_is_what_stands_at_the_key_now(store: Store) -> None:
    async def story() -> list[bool]:
        before = await store.exists(KEY)
        await store.keep(KEY, stream(ONE))
        kept = await store.exists(KEY)
        await store.delete(KEY)
        return [before, kept, await store.exists(KEY)]

    assert asyncio.run(story()) == [False, True, False]


def test_a_store_that_works_passes_its_check_and_keeps_no_trace_of_it(store: Store) -> None:
    async def story() -> int:
        await asyncio.gather(*(store.check() for _ in range(3)))
        return await store.tidy()

    assert asyncio.run(story()) == 0


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a//b", "a/..", ""])
@pytest.mark.parametrize(
    "act",
    [
        lambda store, key: store.keep(key, stream(ONE)),
        lambda store, key: store.write(key, ONE),
        lambda store, key: store.read(key),
        lambda store, key: store.exists(key),
        lambda store, key: store.sha256(key),
        lambda store, key: store.move(key, KEY),
        lambda store, key: store.move(KEY, key),
        lambda store, key: store.delete(key),
    ],
)
def test_no_call_takes_an_unsafe_key(
    store: Store, act: Callable[[Store, str], Awaitable[Any]], key: str
) -> None:
    async def story() -> None:
        with pytest.raises(ValueError, match="not a storage key"):
            await act(store, key)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [([], [0]), ([4], [4]), ([10], [10, 0]), ([4, 4, 4], [12, 0]), ([3, 0, 30, 1], [33, 1]), ([0], [0])],
)
def test_a_stream_is_taken_in_batches_and_a_short_one_is_the_last(
    sizes: list[int], batches: list[int]
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for size in sizes:
            yield bytes(size)

    async def story() -> list[int]:
        source, found = pieces(), []
        while length(parts := await take(source, 10)) >= 10:
            found.append(length(parts))
        return [*found, length(parts)]

    assert asyncio.run(story()) == batches


def test_every_manifest_is_found_and_nothing_else(store: Store) -> None:
    keys = {f"m/2026/11/{day}/id{n}/manifest.json" for day in (21, 22) for n in range(3)}
    held = {f"held/{key}" for key in keys}

    async def story() -> None:
        assert [key async for key in store.manifests()] == []
        for key in (*keys, *held):
            await store.write(key, b"{}")
        await store.write(KEY, ONE)
        await store.write("m/2026/11/22/id/not-manifest.json", ONE)
        assert {key async for key in store.manifests()} == keys | held
        assert {key async for key in store.manifests("held")} == held

    asyncio.run(story())
