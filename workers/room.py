"""Room on the disks that outputs go to: when it runs short nothing more is fetched, and all else goes on.

What stays free is not ours: Redis' log may stand there, without which no callback is acknowledged, and the
manifests of what was fetched already.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import structlog

from service.errors import TryLater
from service.storage import StorageError, StorageFullError
from service.storage.disk import lacking
from service.storage.vault import HELD_SETTING, SETTING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.storage import Vault
    from service.storage.disk import Disk

log = structlog.get_logger("work")

LOOK_EVERY = 1.0
COME_BACK = 5.0
"""Seconds for which a prediction is put off; when there are many, the ledger makes them more."""
COME_BACK_LARGE = 15.0
"""The same for a file that is too large for what room there is: to learn that costs a request each time."""
PLENTY = 4 << 30
"""Bytes that nobody writes from one look to the next: with so much beyond what is to come one is enough."""
_ENOUGH = 1.25
"""Times what is kept, until a disk is no longer short: just at the mark it would be said again and again."""
_FIX = "free some of it, or lower CATCHLIGHT_DISK_FREE; nothing is fetched until then, all else goes on"


class NoRoom(TryLater):
    """Nothing is wrong with the output; `wait` seconds from now there may be room for it."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


class Coming(Protocol):
    @property
    def left(self) -> int:
        """Bytes announced and not handed on yet."""


class Room:
    """Of a vault; `keep_free` in bytes per disk, None for what `storage.disk` says. Knows what `look` saw."""

    def __init__(self, vault: Vault, keep_free: int | None) -> None:
        self._vault = vault
        self._keep_free = keep_free
        self._lacks: dict[bool, str] = {}
        self._seen: dict[bool, Disk | None] = {}
        self._coming: set[Coming] = set()
        self._failed = ""

    @property
    def trouble(self) -> str:
        """What keeps outputs from being stored, in a sentence; "" when nothing does."""
        lacks = next((lacks for lacks in self._lacks.values() if lacks), "")
        return f"no room: {lacks}; nothing is fetched" if lacks else self._failed

    def refused(self, why: str) -> None:
        """The store did not take an output, or not all of it."""
        self._failed = f"the storage fails: {why}"

    def took(self) -> None:
        """It has taken one."""
        self._failed = ""

    @property
    def short(self) -> bool:
        """Somewhere, as of the last look."""
        return any(self._lacks.values())

    @property
    def free(self) -> int | None:
        """Bytes that are free on the fuller disk, None where outputs go to no disk; as of the last look."""
        return min((disk.free_bytes for disk in self._seen.values() if disk and disk.bytes), default=None)

    def lacking(self, *, held: bool) -> str:
        """Why nothing is fetched to that place, "" when it is; as of the last look."""
        return self._lacks.get(held and self._vault.separate, "")

    def check(self, *, held: bool) -> None:
        """Raises NoRoom, as of the last look."""
        if why := self.lacking(held=held):
            raise NoRoom(f"no room: {why}", COME_BACK)

    async def watch(self) -> None:
        """Run beside the jobs, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        for held in (False, True) if self._vault.separate else (False,):
            disk = self._seen[held] = await self._disk(held=held)
            times = _ENOUGH if self._lacks.get(held) else 1
            self._judged(lacking(disk, self._keep_free, times=times) if disk else "", held=held)

    @asynccontextmanager
    async def claimed(self, download: Coming, *, held: bool) -> AsyncIterator[None]:
        """Room for what is to come of it, beside all that is to come of others. Raises NoRoom."""
        more = download.left + sum(other.left for other in self._coming)
        disk = self._seen.get(held and self._vault.separate)
        if disk is None or lacking(disk, self._keep_free, more=more + PLENTY):
            # Looked at anew: what has come since the last look may be more than what is kept free.
            disk = await self._disk(held=held)
        if disk and (why := lacking(disk, self._keep_free, more=more)):
            raise NoRoom(f"no room: {why}", self._wait(disk, download.left, why, held=held))
        self._coming.add(download)
        try:
            yield
        finally:
            self._coming.discard(download)

    @asynccontextmanager
    async def excusing(self) -> AsyncIterator[None]:
        """A store that was full meanwhile raises NoRoom when it is the disk, looked at anew, that is short.

        When it is not (a quota, say), only tries that are counted come to an end.
        """
        try:
            yield
        except StorageFullError as error:
            await self.look()
            if self.short:
                raise NoRoom(str(error), COME_BACK) from error
            raise

    def _wait(self, disk: Disk, size: int, why: str, *, held: bool) -> float:
        """Only a disk that is nearly short becomes so by what a stranger says that he will send."""
        if lacking(disk, self._keep_free, times=_ENOUGH):
            self._judged(why, held=held and self._vault.separate)
            return COME_BACK
        return COME_BACK_LARGE if lacking(disk, self._keep_free, more=size) else COME_BACK

    def _judged(self, lacks: str, *, held: bool) -> None:
        before = self._lacks.get(held, "")
        self._lacks[held] = lacks
        place = HELD_SETTING if held else SETTING
        if lacks and not before:
            log.warning("disk.short", place=place, lacks=lacks, fix=_FIX)
        elif before and not lacks:
            log.warning("disk.has_room", place=place)

    async def _disk(self, *, held: bool) -> Disk | None:
        try:
            return await self._vault.disk(held=held)
        except StorageError:
            # Whoever writes there finds out more about it than we could say.
            return None
