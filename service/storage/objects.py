"""A store in a bucket (S3, GCS, Azure) over obstore; every write is conditional or goes to a name of its own.

Credentials and the endpoint are obstore's to find (`AWS_*`, an instance's role, …).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from service import clock
from service.errors import NotFound
from service.storage.layout import MANIFEST, TEMPORARY, checked, conflict_key
from service.storage.store import BATCH, Kept, Placed, StorageError, landed, length, stream_of, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator

    from obstore import AsyncWritableFile, BytesStream, GetOptions
    from obstore.store import ClientConfig, RetryConfig, S3Config

SMALL = 8 << 20
"""Bytes up to which a body goes up in one request; beyond, in parts of this size, two of them in memory."""

ABANDONED_AFTER = 86_400.0
"""Seconds after which something under `.tmp/` has no writer any more: over a network nobody can ask it."""

_AT_ONCE = 16
"""Chunks that are joined and written together."""

CLIENT: ClientConfig = {
    # The endpoint's own scheme decides; whoever writes http:// there means it.
    "allow_http": True,
    "connect_timeout": "5s",
    "timeout": "60s",
    # Proxy variables are ignored, and only a proxy that is never used keeps the library from reading them.
    "proxy_url": "http://127.0.0.1:9",
    "proxy_excludes": "*,0.0.0.0/0,::/0",
}
# Longer troubles are the ledger's to wait for, not a lease's.
_RETRY: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_S3: S3Config = {"copy_if_not_exists": "multipart"}


class ObjectStore:
    def __init__(self, url: str, *, setting: str, threads: int) -> None:
        """Hashes in `threads` threads; `setting` is what `check` blames. StorageError for an unusable URL."""
        self._url = url.rstrip("/")
        self._setting = setting
        with self._naming("use", ""):
            self._bucket = from_url(
                self._url,
                client_options=CLIENT,
                retry_config=_RETRY,
                config=_S3 if url.startswith("s3:") else None,
            )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="storage")

    async def keep(self, key: str, chunks: AsyncIterable[bytes]) -> Kept:
        checked(key)
        digest = hashlib.sha256()
        async with stream_of(chunks) as source:
            parts = await take(source, SMALL + 1)
            if (size := length(parts)) <= SMALL:
                body = await self._hashed(digest, parts)
                at = await self._settle(key, digest.hexdigest(), lambda to: self._create(to, body))
            else:
                async with self._uploaded(digest, parts, source) as (temporary, size):
                    at = await self._settle(key, digest.hexdigest(), lambda to: self._copy(temporary, to))
        return Kept(at, self.uri(at), digest.hexdigest(), size, conflict=at != key)

    async def write(self, key: str, data: bytes) -> str:
        with self._naming("write", checked(key)):
            await self._bucket.put_async(key, data, use_multipart=False)
        return self.uri(key)

    async def read(self, key: str) -> bytes:
        return b"".join([chunk async for chunk in self.chunks(key)])

    async def chunks(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        part: GetOptions = {}
        if length is not None:
            part["range"] = (start, start + length)
        elif start:
            part["range"] = {"offset": start}
        with self._naming("read", checked(key), may_lack=True):
            found = await self._bucket.get_async(key, options=part)
            stream = found.stream(min_chunk_size=BATCH)
        while (chunk := await self._next(key, stream)) is not None:
            yield chunk

    async def exists(self, key: str) -> bool:
        try:
            with self._naming("look at", checked(key), may_lack=True):
                await self._bucket.head_async(key)
        except NotFound:
            return False
        return True

    async def sha256(self, key: str) -> str:
        digest = hashlib.sha256()
        async for chunk in self.chunks(key):
            await self._hashed(digest, [chunk])
        return digest.hexdigest()

    async def move(self, src: str, dst: str, sha256: str | None = None) -> Placed:
        if checked(src) == checked(dst):
            return Placed(dst, self.uri(dst))
        try:
            moved = await self._copy(src, dst)
        except NotFound:
            return await landed(self, dst, sha256)
        at = dst if moved else await self._settle(dst, await self.sha256(src), lambda to: self._copy(src, to))
        await self.delete(src)
        return Placed(at, self.uri(at))

    async def delete(self, key: str) -> None:
        with self._naming("delete", checked(key)), suppress(FileNotFoundError):
            await self._bucket.delete_async(key)

    async def manifests(self, folder: str = "") -> AsyncIterator[str]:
        pages = aiter(self._bucket.list(prefix=folder or None))
        while True:
            with self._naming("list", folder):
                page = await anext(pages, None)
            if page is None:
                return
            for meta in page:
                if meta["path"].endswith(f"/{MANIFEST}"):
                    yield meta["path"]

    def uri(self, key: str) -> str:
        return f"{self._url}/{checked(key)}"

    async def check(self) -> None:
        probe = f"{TEMPORARY}/probe-{secrets.token_hex(8)}"
        try:
            await self._probe(probe, f"{probe}.copy")
        except (StorageError, NotFound) as error:
            raise StorageError(f"{self._setting}: {error}") from error

    async def disk(self) -> None:
        """A bucket has no end that we could come near."""

    async def place(self) -> str:
        return self._url

    async def tidy(self) -> int:
        with self._naming("tidy", TEMPORARY):
            found = [meta async for page in self._bucket.list(prefix=TEMPORARY) for meta in page]
        before = clock.now() - ABANDONED_AFTER
        # Deeper ones belong to a model whose slug is `.tmp`.
        abandoned = [
            meta["path"]
            for meta in found
            if meta["path"].count("/") == 1 and meta["last_modified"].timestamp() < before
        ]
        for key in abandoned:
            await self.delete(key)
        return len(abandoned)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)
        # obstore's threads drop Python objects just after an answer; an interpreter ending then aborts.
        await asyncio.sleep(0.05)

    async def _settle(self, key: str, sha256: str, put: Callable[[str], Awaitable[bool]]) -> str:
        """`put` says False when the key is taken; the key at which these bytes now stand."""
        for at in (key, conflict_key(key, sha256)):
            if await put(at):
                return at
            try:
                if await self.sha256(at) == sha256:
                    return at
            except NotFound as error:
                raise StorageError(f"{self.uri(at)} was taken, and then gone.") from error
        raise StorageError(f"other bytes stand at {self.uri(at)}, a name made from this file's hash.")

    async def _create(self, key: str, body: bytes) -> bool:
        with self._naming("write", key), suppress(AlreadyExistsError):
            await self._bucket.put_async(key, body, mode="create")
            return True
        return False

    async def _copy(self, src: str, dst: str) -> bool:
        """False when `dst` is taken; as atomic as the server makes it: SeaweedFS lets several through."""
        with self._naming("copy", src, may_lack=True), suppress(AlreadyExistsError):
            await self._bucket.copy_async(src, dst, overwrite=False)
            return True
        return False

    @asynccontextmanager
    async def _uploaded(
        self, digest: hashlib._Hash, parts: list[bytes], source: AsyncIterator[bytes]
    ) -> AsyncIterator[tuple[str, int]]:
        """A large body under a name of its own: a multipart upload to the key would replace a first."""
        temporary = f"{TEMPORARY}/{secrets.token_hex(16)}"
        size = 0
        async with self._writer(temporary) as writer:
            while parts:
                body = await self._hashed(digest, parts[:_AT_ONCE])
                # The caller's list is emptied bit by bit: else what was gathered is held until the end.
                del parts[:_AT_ONCE]
                with self._naming("write", temporary):
                    await writer.write(body)
                size += len(body)
                parts = parts or await take(source, BATCH)
        try:
            yield temporary, size
        finally:
            with suppress(StorageError):
                await asyncio.shield(self.delete(temporary))

    @asynccontextmanager
    async def _writer(self, key: str) -> AsyncIterator[AsyncWritableFile]:
        writer = obstore.open_writer_async(self._bucket, key, buffer_size=SMALL, max_concurrency=1)
        over = False
        try:
            yield writer
            with self._naming("write", key):
                await writer.close()
            over = True
        finally:
            if not over:
                # Leaving it by an error aborts the upload, which would else be kept, invisible and paid for.
                with suppress(BaseError, OSError):
                    await writer.__aexit__(*sys.exc_info())

    async def _hashed(self, digest: hashlib._Hash, parts: list[bytes]) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._pool, _join, digest, parts)

    async def _next(self, key: str, stream: BytesStream) -> bytes | None:
        with self._naming("read", key):
            chunk = await anext(stream, None)
        return None if chunk is None else bytes(chunk)

    async def _probe(self, probe: str, copy: str) -> None:
        """Everything that `keep`, `move`, `read` and `delete` ask of the bucket, conditions included."""
        if not await self._create(probe, b"probe") or not await self._copy(probe, copy):
            raise StorageError(f"{self.uri(probe)} exists before it was written.")
        honoured = not await self._create(probe, b"other") and not await self._copy(probe, copy)
        same = await self.read(copy) == b"probe"
        await self.delete(probe)
        await self.delete(copy)
        if not honoured:
            raise StorageError(f"{self._url} overwrites although it was asked to create (If-None-Match).")
        if not same:
            raise StorageError(f"an object read back from {self._url} is not what was written.")

    @contextmanager
    def _naming(self, verb: str, key: str, *, may_lack: bool = False) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if may_lack:
                raise NotFound(f"nothing stands at {self.uri(key)}.") from error
            raise StorageError(f"cannot {verb} {self._url}/{key}: {reason(str(error))}.") from error
        except (BaseError, OSError) as error:
            raise StorageError(f"cannot {verb} {self._url}/{key}: {reason(str(error))}.") from error


def _join(digest: hashlib._Hash, parts: list[bytes]) -> bytes:
    body = b"".join(parts)
    digest.update(body)
    return body


_TELLING = (
    re.compile(r"status code: (\d{3}[ A-Za-z]*)"),
    re.compile(r"<Code>(\w+)</Code>"),
    re.compile(r"kind: ([A-Z]\w+)"),
    re.compile(r'message: "([\w .-]+)"'),
)


def reason(text: str) -> str:
    """The telling words of an obstore error: the whole is a page of internals and may hold a signed URL."""
    if "169.254.169.254" in text:
        return "no credentials are configured and no instance role answers"
    words = [match[1].strip() for pattern in _TELLING if (match := pattern.search(text))]
    return ", ".join(words) or text.partition("\n")[0].partition("://")[0][:200]
