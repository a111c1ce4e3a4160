"""The one place for files: what is handed on and, under `held/` or in its own store, what is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from service.errors import ConfigError, NotFound
from service.storage import layout
from service.storage.directory import DirectoryStore
from service.storage.objects import ObjectStore
from service.storage.store import Kept, Placed, StorageError, Store, landed

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from service.storage.disk import Disk

SETTING = "CATCHLIGHT_STORAGE_URL"
HELD_SETTING = "CATCHLIGHT_HELD_STORAGE_URL"

_BUCKETS = {"s3", "gs", "az"}


def open_vault(storage_url: str, held_storage_url: str | None, *, threads: int) -> Vault:
    """Touches nothing yet; `threads` per store. ConfigError names the setting whose URL cannot be used."""
    main = _open(storage_url, SETTING, threads)
    if not held_storage_url:
        return Vault(main)
    held = _open(held_storage_url, HELD_SETTING, threads)
    if _real_place(storage_url) == _real_place(held_storage_url):
        raise ConfigError(f"{HELD_SETTING} is the place of {SETTING}: held files would be handed on.")
    return Vault(main, held)


class Found(NamedTuple):
    """A manifest."""

    key: str
    place: layout.Place
    held: bool


class Vault:
    """Keys are those of `layout`, the same whether a file is held or stored; `held` says which is meant."""

    def __init__(self, main: Store, held: Store | None = None) -> None:
        self._main = main
        self._held = held or main
        self._prefix = "" if held else f"{layout.HELD}/"
        self._stores = [main, held] if held else [main]
        self.separate = held is not None
        """Held files have a store of their own."""

    async def keep(self, key: str, chunks: AsyncIterable[bytes], *, held: bool) -> Kept:
        store, at = self._place(key, held=held)
        kept = await store.keep(at, chunks)
        return kept._replace(key=self._bare(kept.key, held=held))

    async def write(self, key: str, data: bytes, *, held: bool) -> str:
        store, at = self._place(key, held=held)
        return await store.write(at, data)

    async def read(self, key: str, *, held: bool) -> bytes:
        store, at = self._place(key, held=held)
        return await store.read(at)

    def chunks(
        self, key: str, *, held: bool, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        store, at = self._place(key, held=held)
        return store.chunks(at, start, length)

    async def exists(self, key: str, *, held: bool) -> bool:
        store, at = self._place(key, held=held)
        return await store.exists(at)

    async def move(self, key: str, *, from_held: bool, to_held: bool, sha256: str | None = None) -> Placed:
        """Where the file is now; again is harmless, and with `sha256` even after a conflict. NotFound."""
        source, src = self._place(key, held=from_held)
        target, dst = self._place(key, held=to_held)
        if source is target:
            moved = await source.move(src, dst, sha256)
        else:
            moved = await _carry(source, target, key, sha256)
        return Placed(self._bare(moved.key, held=to_held), moved.uri)

    async def delete(self, key: str, *, held: bool) -> None:
        store, at = self._place(key, held=held)
        await store.delete(at)

    async def delete_derived(self, key: str, sha256: str | None, *, held: bool) -> None:
        """All that was made from the output that stands, or stood, at `key`."""
        for what in layout.DERIVATIVES if sha256 else ():
            await self.delete(layout.derived_key(key, sha256 or "", what), held=held)

    def uri(self, key: str, *, held: bool) -> str:
        store, at = self._place(key, held=held)
        return store.uri(at)

    async def manifests(self) -> AsyncIterator[Found]:
        """The held ones first; what does not stand where ours stand is nobody's."""
        async for at in self._held.manifests(self._prefix.rstrip("/")):
            key = at.removeprefix(self._prefix)
            if place := layout.place_of(key):
                yield Found(key, place, held=True)
        async for at in self._main.manifests():
            # A model may be called `held` too; then its manifests stand one folder less deep.
            inner = at.removeprefix(self._prefix) if self._prefix and at.startswith(self._prefix) else ""
            if (place := layout.place_of(at)) and not layout.place_of(inner):
                yield Found(at, place, held=False)

    async def check(self) -> None:
        for store in self._stores:
            await store.check()

    async def place(self) -> str:
        """Of what is not held."""
        return await self._main.place()

    async def disk(self, *, held: bool) -> Disk | None:
        return await (self._held if held else self._main).disk()

    async def tidy(self) -> int:
        return sum([await store.tidy() for store in self._stores])

    async def aclose(self) -> None:
        for store in self._stores:
            await store.aclose()

    def _place(self, key: str, *, held: bool) -> tuple[Store, str]:
        return (self._held, f"{self._prefix}{key}") if held else (self._main, key)

    def _bare(self, key: str, *, held: bool) -> str:
        return key.removeprefix(self._prefix) if held else key


async def _carry(source: Store, target: Store, key: str, sha256: str | None) -> Placed:
    """Between two stores, whose keys are then the same: durable there before it is deleted here."""
    try:
        kept = await target.keep(key, source.chunks(key))
    except NotFound:
        return await landed(target, key, sha256)
    await source.delete(key)
    return Placed(kept.key, kept.uri)


def _open(url: str, setting: str, threads: int) -> Store:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return DirectoryStore(_directory(url, setting), setting=setting, threads=threads)
    if parts.scheme not in _BUCKETS:
        raise ConfigError(f"{setting} begins with none of file:///, s3://, gs:// and az://.")
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"{setting} is not of the form {parts.scheme}://bucket/prefix; credentials go elsewhere."
        )
    try:
        return ObjectStore(url, setting=setting, threads=threads)
    except StorageError as error:
        raise ConfigError(f"{setting}: {error}") from error


def _real_place(url: str) -> str:
    parts = urlsplit(url)
    return str(Path(unquote(parts.path)).resolve()) if parts.scheme == "file" else url.rstrip("/")


def _directory(url: str, setting: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or not path.startswith("/") or not path.strip("/") or ".." in path.split("/"):
        raise ConfigError(f"{setting} is not of the form file:///absolute/path (with three slashes).")
    if parts.query or parts.fragment or not path.isprintable():
        raise ConfigError(f"{setting} holds characters that a path in a URL has as %23, %3F and so on.")
    return Path(path)
