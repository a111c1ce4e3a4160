"""A bucket as a store: large bodies, and errors that tell without telling all."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
from typing import TYPE_CHECKING

import pytest

from service.storage import objects
from service.storage.objects import SMALL, ObjectStore, reason
from service.storage.store import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.seaweed import Seaweed

pytest_plugins = ["tests.seaweed"]

KEY = "m/2026/11/22/id/0.mp4"
MIB = 1 << 20


@pytest.fixture
def store(s3: Seaweed) -> Iterator[ObjectStore]:
    made = ObjectStore(f"s3://{s3.bucket}/{secrets.token_hex(8)}", setting="SETTING", threads=2)
    yield made
    asyncio.run(made.aclose())


async def stream(data: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 300_000):
        yield data[start : start + 300_000]
    if error:
        raise error


async def keys(store: ObjectStore) -> list[str]:
    return sorted([meta["path"] async for page in store._bucket.list() for meta in page])


@pytest.mark.parametrize("size", [SMALL, SMALL + 1, 20 * MIB])
def test_a_large_body_goes_up_whole_and_leaves_nothing_beside_it(
    store: ObjectStore, s3: Seaweed, size: int
) -> None:
    data = secrets.token_bytes(size)
    before = s3.unfinished_uploads()

    async def story() -> None:
        kept = await store.keep(KEY, stream(data))
        assert (kept.sha256, kept.bytes) == (hashlib.sha256(data).hexdigest(), size)
        assert await store.sha256(KEY) == kept.sha256
        assert await store.keep(KEY, stream(data)) == kept
        assert await keys(store) == [KEY]

    asyncio.run(story())
    assert s3.unfinished_uploads() == before


def test_a_large_body_broken_half_way_leaves_neither_object_nor_upload(
    store: ObjectStore, s3: Seaweed
) -> None:
    before = s3.unfinished_uploads()

    async def story() -> None:
        with pytest.raises(ConnectionResetError, match="gone"):
            await store.keep(KEY, stream(bytes(20 * MIB), ConnectionResetError("gone")))
        assert await keys(store) == []

    asyncio.run(story())
    assert s3.unfinished_uploads() == before


def test_a_large_body_cancelled_half_way_leaves_neither_object_nor_upload(
    store: ObjectStore, s3: Seaweed
) -> None:
    before = s3.unfinished_uploads()

    async def story() -> None:
        stalled = asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            async for chunk in stream(bytes(20 * MIB)):
                yield chunk
            stalled.set()
            await asyncio.Event().wait()

        keeping = asyncio.create_task(store.keep(KEY, stalling()))
        await stalled.wait()
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
        assert await keys(store) == []

    asyncio.run(story())
    assert s3.unfinished_uploads() == before


def test_of_different_large_bodies_the_first_stays(store: ObjectStore) -> None:
    first, second = bytes(SMALL + MIB), bytes(SMALL) + b"x" * MIB

    async def story() -> None:
        kept = [await store.keep(KEY, stream(body)) for body in (first, second, second)]
        assert [one.conflict for one in kept] == [False, True, True]
        assert kept[1] == kept[2]
        assert await keys(store) == sorted({one.key for one in kept})
        assert [await store.sha256(one.key) for one in kept] == [one.sha256 for one in kept]

    asyncio.run(story())


def test_a_large_file_moves(store: ObjectStore) -> None:
    async def story() -> None:
        kept = await store.keep(f"held/{KEY}", stream(bytes(SMALL + MIB)))
        assert (await store.move(f"held/{KEY}", KEY, kept.sha256)).key == KEY
        assert await store.sha256(KEY) == kept.sha256
        assert await keys(store) == [KEY]

    asyncio.run(story())


def test_tidy_removes_what_is_old_and_only_in_its_own_folder(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        for key in (".tmp/left", ".tmp/2026/0.png", "m/0.png"):
            await store.write(key, b"x")
        assert await store.tidy() == 0, "it may still be wanted"
        monkeypatch.setattr(objects, "ABANDONED_AFTER", -60.0)
        assert await store.tidy() == 1
        assert await keys(store) == [".tmp/2026/0.png", "m/0.png"]

    asyncio.run(story())


def test_proxy_variables_are_ignored(s3: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def story() -> None:
        store = ObjectStore(f"s3://{s3.bucket}/proxied", setting="SETTING", threads=1)
        await store.check()
        await store.aclose()

    asyncio.run(story())


def test_a_refused_key_is_told_without_the_secret(s3: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    store = ObjectStore(f"s3://{s3.bucket}/refused", setting="SETTING", threads=1)
    with pytest.raises(StorageError) as raised:
        asyncio.run(store.check())
    said = str(raised.value)
    assert said.startswith(f"SETTING: cannot write s3://{s3.bucket}/refused/.tmp/probe-")
    assert said.endswith(": 403 Forbidden, SignatureDoesNotMatch.")


def test_a_server_that_does_not_answer_is_told_as_such(s3: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        store = ObjectStore(f"s3://{s3.bucket}/down", setting="SETTING", threads=1)
        for action in (store.write(KEY, b"x"), store.keep(KEY, stream(bytes(SMALL + MIB))), store.tidy()):
            with pytest.raises(StorageError, match=r"Connection refused\.$"):
                asyncio.run(action)


def test_a_bucket_that_is_not_there_is_a_failure_of_the_place(s3: Seaweed) -> None:
    store = ObjectStore("s3://nowhere/p", setting="SETTING", threads=1)
    for action in (
        store.write(KEY, b"x"),
        store.keep(KEY, stream(b"x")),
        store.keep(KEY, stream(bytes(SMALL + 1))),
    ):
        with pytest.raises(StorageError, match="404 Not Found, NoSuchBucket"):
            asyncio.run(action)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "PUT http://h/b - Server returned non-2xx status code: 503 Service Unavailable: \n",
            "503 Service Unavailable",
        ),
        ("status code: 403 Forbidden: <Code>AccessDenied</Code>", "403 Forbidden, AccessDenied"),
        ('x\n kind: Connect,\n message: "Connection refused",', "Connect, Connection refused"),
        ("x\n kind: Timeout,\n", "Timeout"),
        (
            "PUT http://169.254.169.254/latest/api/token",
            "no credentials are configured and no instance role answers",
        ),
        ("PUT https://account.example/x?sig=SECRET went wrong", "PUT https"),
    ],
)
def test_an_error_of_the_library_is_told_in_its_telling_words(text: str, words: str) -> None:
    assert reason(text) == words
