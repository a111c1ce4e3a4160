"""Asking the resident process for small pictures."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from service.darkroom.developed import Developed
from service.darkroom.started import Resident
from service.errors import GiveUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

AT_ONCE = 2
"""Children at one moment: what is for looking at shall not starve what is for receiving."""
DEADLINE = 30.0
"""Seconds, reading the original included."""
_ANSWER_MOST = 4 << 20


class NoPicture(GiveUp):
    """None can be made of this output; the text says why."""


class _DiedError(Exception):
    """The resident, before it could do anything with a job."""


class Darkroom:
    def __init__(
        self, *, at_once: int = AT_ONCE, deadline: float = DEADLINE, resident: Resident | None = None
    ) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._deadline = deadline
        self._resident = resident or Resident("service.darkroom.resident")

    async def develop(self, original: Callable[[], AsyncIterator[bytes]], media_type: str) -> Developed:
        """From a stream of the file's bytes. Raises NoPicture, and what the stream raises."""
        async with self._places:
            for _ in range(2):
                with suppress(_DiedError):
                    return await self._ask(original, media_type)
        raise NoPicture("the process that decodes dies whenever it is asked.")

    async def aclose(self) -> None:
        await self._resident.aclose()

    async def _ask(self, original: Callable[[], AsyncIterator[bytes]], media_type: str) -> Developed:
        reader, writer = await asyncio.open_connection(sock=self._resident.new_job())
        try:
            async with asyncio.timeout(self._deadline):
                writer.write(json.dumps({"media_type": media_type}).encode() + b"\n")
                # It may have answered, or be dead, before it has all of it.
                with suppress(ConnectionError):
                    async for chunk in original():
                        writer.write(chunk)
                        await writer.drain()
                    writer.write_eof()
                answer = await _read(reader)
        except TimeoutError:
            raise NoPicture(f"none was made within {self._deadline:g} s.") from None
        finally:
            # Closing ends the child's reading; its own clock ends everything else.
            writer.close()
        if answer is None:
            if not self._resident.is_alive():
                raise _DiedError
            raise NoPicture("the process that decodes it ran out of memory or time.")
        return answer


async def _read(reader: asyncio.StreamReader) -> Developed | None:
    """None when it ended without an answer. Raises NoPicture with the reason that it gives."""
    try:
        said = json.loads(await reader.readline())
        if why := said.get("why"):
            raise NoPicture(f"{why}.")
        if max(said["thumb"], said["blur"]) > _ANSWER_MOST:
            return None
        thumb = await reader.readexactly(said["thumb"])
        blur = await reader.readexactly(said["blur"])
    except (ConnectionError, ValueError, asyncio.IncompleteReadError):
        return None
    return Developed(thumb, blur, str(said["likeness"]))
