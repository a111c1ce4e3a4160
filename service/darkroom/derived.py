"""What is made of outputs to look at them, in their own store: made at the first request, then read.

The worker deletes it with the file (`Vault.delete_derived`). A process that may not write there, as behind a
read-only mount, shows it all the same, and remembers the last few.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import structlog

from service.darkroom.asking import Darkroom, NoPicture
from service.ending import end
from service.errors import NotFound
from service.storage import StorageError, layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.darkroom.developed import Developed
    from service.storage import Vault

log = structlog.get_logger("darkroom")

IMAGE_MOST, VIDEO_MOST = 64 << 20, 256 << 20
"""Bytes of an original that is looked at."""
AGAIN_AFTER = 600.0
"""Seconds for which it is remembered that there is no picture: a page asks for it whenever it is opened."""
ALIKE = 6
"""Bits of 64 by which the likenesses of near-duplicates differ at most."""
_REMEMBERED = 4096
_UNKEPT_MOST = 256
"""Each of some ten kilobytes."""
_THUMB, _BLUR, _LOOK = layout.DERIVATIVES
_LIKENESS = re.compile(r"[0-9a-f]{16}")


class Original(NamedTuple):
    """An output's file."""

    key: str
    sha256: str
    held: bool
    media_type: str
    bytes: int


class Derived:
    def __init__(self, vault: Vault, darkroom: Darkroom) -> None:
        self._vault = vault
        self._darkroom = darkroom
        self._ahead: asyncio.Task[None] | None = None
        self._making: dict[Original, asyncio.Task[Developed]] = {}
        self._hopeless: OrderedDict[Original, tuple[float, str]] = OrderedDict()
        self._unkept: OrderedDict[Original, Developed] = OrderedDict()
        self._has_warned = False
        self._likenesses: OrderedDict[str, str] = OrderedDict()

    async def thumb(self, original: Original) -> bytes:
        """WebP, at most 480 pixels. Raises NoPicture, NotFound, StorageError."""
        return await self._kept(original, _THUMB) or (await self._made(original)).thumb

    async def blur(self, original: Original) -> bytes:
        """WebP, at most 32 pixels, which shows colours and nothing else."""
        return await self._kept(original, _BLUR) or (await self._made(original)).blur

    def known_likeness(self, original: Original) -> str | None:
        """What this process knows by now, without looking anywhere."""
        return self._likenesses.get(original.sha256)

    async def likeness(self, original: Original) -> str | None:
        """None while nobody has looked at a picture of it."""
        known = self._likenesses.get(original.sha256)
        if known is None and (kept := await self._kept(original, _LOOK)):
            known = _likeness(kept)
            if known is not None:
                self._remember(original, known)
        return known

    def look_ahead(self, originals: Sequence[Original]) -> None:
        """Prepare them in the background, unless that is being done for others."""
        if self._ahead is None or self._ahead.done():
            self._ahead = asyncio.create_task(self.prepare(originals))

    async def prepare(self, originals: Sequence[Original]) -> None:
        """All of them, one after the other; what cannot be made is left out."""
        for original in originals:
            if await self.likeness(original) is None:
                try:
                    await self._made(original)
                except (NoPicture, NotFound, StorageError):
                    continue

    async def aclose(self) -> None:
        await end(*filter(None, [self._ahead, *self._making.values()]))
        await self._darkroom.aclose()

    async def _kept(self, original: Original, what: str) -> bytes | None:
        if _why_not(original):
            return None
        try:
            return await self._vault.read(_key(original, what), held=original.held)
        except NotFound:
            return None

    async def _made(self, original: Original) -> Developed:
        """Once for all who ask at the same time."""
        if original in self._unkept:
            return self._unkept[original]
        if why := _why_not(original) or self._why_hopeless(original):
            raise NoPicture(why)
        if original not in self._making:
            task = asyncio.create_task(self._make(original))
            self._making[original] = task
            task.add_done_callback(lambda _: self._making.pop(original, None))
        # Whoever goes away leaves it to the others, and to the store.
        return await asyncio.shield(self._making[original])

    async def _make(self, original: Original) -> Developed:
        try:
            made = await self._darkroom.develop(
                lambda: self._vault.chunks(original.key, held=original.held), original.media_type
            )
        except NoPicture as error:
            log.info("no_picture", key=original.key, why=str(error))
            self._hopeless[original] = (time.monotonic(), str(error))
            while len(self._hopeless) > _REMEMBERED:
                self._hopeless.popitem(last=False)
            raise
        self._remember(original, made.likeness)
        await self._keep(original, made)
        return made

    async def _keep(self, original: Original, made: Developed) -> None:
        look = json.dumps({"likeness": made.likeness}).encode()
        try:
            for what, data in ((_THUMB, made.thumb), (_BLUR, made.blur), (_LOOK, look)):
                await self._vault.write(_key(original, what), data, held=original.held)
            # A worker may have moved or deleted the file meanwhile, and what was made of it before us.
            if not await self._vault.exists(original.key, held=original.held):
                await self._vault.delete_derived(original.key, original.sha256, held=original.held)
        except StorageError as error:
            self._unkept[original] = made
            while len(self._unkept) > _UNKEPT_MOST:
                self._unkept.popitem(last=False)
            if not self._has_warned:
                self._has_warned = True
                log.warning("derived.not_kept", error=str(error), fix="let `serve` write under derived/")

    def _why_hopeless(self, original: Original) -> str:
        since, why = self._hopeless.get(original, (-AGAIN_AFTER, ""))
        return why if time.monotonic() - since < AGAIN_AFTER else ""

    def _remember(self, original: Original, likeness: str) -> None:
        self._likenesses[original.sha256] = likeness
        while len(self._likenesses) > _REMEMBERED:
            self._likenesses.popitem(last=False)


def alike(one: str | None, other: str | None) -> bool:
    """Do two likenesses differ in so few bits that a person sees the same picture?"""
    return bool(one and other) and (int(one or "", 16) ^ int(other or "", 16)).bit_count() <= ALIKE


def _why_not(original: Original) -> str:
    kind = original.media_type.partition("/")[0]
    if kind not in ("image", "video"):
        return f"{original.media_type or 'it'} is nothing to look at."
    most = IMAGE_MOST if kind == "image" else VIDEO_MOST
    return f"it has more than {most} bytes." if original.bytes > most else ""


def _key(original: Original, what: str) -> str:
    return layout.derived_key(original.key, original.sha256, what)


def _likeness(kept: bytes) -> str | None:
    try:
        found = json.loads(kept)["likeness"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) and _LIKENESS.fullmatch(found) else None
