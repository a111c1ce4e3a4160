"""Asking the resident process for small pictures: started when it is first needed, and again when it died."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from service.darkroom.developed import Developed
from service.errors import GiveUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

AT_ONCE = 2
"""Children at one moment: what is for looking at shall not starve what is for receiving."""
DEADLINE = 30.0
"""Seconds, reading the original included."""
_ANSWER_MOST = 4 << 20
_STOPPING = 5.0
_LOOK = socket.MSG_PEEK | socket.MSG_DONTWAIT


class NoPicture(GiveUp):
    """None can be made of this output; the text says why."""


class _DiedError(Exception):
    """The resident, before it could do anything with a job."""


class Darkroom:
    def __init__(self, *, at_once: int = AT_ONCE, deadline: float = DEADLINE) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._deadline = deadline
        self._resident: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    async def develop(self, original: Callable[[], AsyncIterator[bytes]], media_type: str) -> Developed:
        """From a stream of the file's bytes. Raises NoPicture, and what the stream raises."""
        async with self._places:
            for _ in range(2):
                with suppress(_DiedError):
                    return await self._ask(original, media_type)
        raise NoPicture("the process that decodes dies whenever it is asked.")

    async def aclose(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._resident is not None:
            await asyncio.to_thread(_ended, self._resident)
            self._resident = None

    async def _ask(self, original: Callable[[], AsyncIterator[bytes]], media_type: str) -> Developed:
        reader, writer = await asyncio.open_connection(sock=self._new_job())
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
            if not self._is_alive():
                raise _DiedError
            raise NoPicture("the process that decodes it ran out of memory or time.")
        return answer

    def _new_job(self) -> socket.socket:
        """Our end of a socket whose other end the resident has."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._running(), [b"j"], [theirs.fileno()])
            except OSError:
                # It ended since we looked.
                socket.send_fds(self._started(), [b"j"], [theirs.fileno()])
        return ours

    def _is_alive(self) -> bool:
        # Not by its exit code, which comes a moment after its sockets have ended.
        try:
            return self._control is not None and self._control.recv(1, _LOOK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _running(self) -> socket.socket:
        return self._control if self._control is not None and self._is_alive() else self._started()

    def _started(self) -> socket.socket:
        if self._control is not None and self._resident is not None:
            self._control.close()
            self._resident.kill()
            self._resident.wait()
        ours, theirs = socket.socketpair()
        with theirs:
            # -P, lest a folder called `service` where we stand is taken for ours. No variable of ours, least
            # of all a secret, is any business of a process that reads strangers' files.
            self._resident = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-P", "-m", "service.darkroom.resident", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._control = ours
        return ours


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


def _ended(resident: subprocess.Popen[bytes]) -> None:
    try:
        resident.wait(_STOPPING)
    except subprocess.TimeoutExpired:
        resident.kill()
        resident.wait()
