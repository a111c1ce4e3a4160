"""A process of ours that is given jobs as sockets: started when it is first needed, and when it died."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

_STOPPING = 5.0
_LOOK = socket.MSG_PEEK | socket.MSG_DONTWAIT


class Resident:
    def __init__(self, module: str) -> None:
        """`python -m module FD`, which ends when the other end of the socket FD does."""
        self._module = module
        self.process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def new_job(self) -> socket.socket:
        """Our end of a socket whose other end the process has."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._running(), [b"j"], [theirs.fileno()])
            except OSError:
                # It ended since we looked.
                socket.send_fds(self._started(), [b"j"], [theirs.fileno()])
        return ours

    def is_alive(self) -> bool:
        # Not by its exit code, which comes a moment after its sockets have ended.
        try:
            return self._control is not None and self._control.recv(1, _LOOK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def kill(self) -> None:
        """One that hangs; the next job starts another."""
        if self._control is not None and self.process is not None:
            self._control.close()
            self._control = None
            self.process.kill()
            self.process.wait()

    async def aclose(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.process is not None:
            await asyncio.to_thread(_ended, self.process)
            self.process = None

    def _running(self) -> socket.socket:
        return self._control if self._control is not None and self.is_alive() else self._started()

    def _started(self) -> socket.socket:
        self.kill()
        ours, theirs = socket.socketpair()
        with theirs:
            # -P, lest a folder called `service` where we stand is taken for ours. No variable of ours, least
            # of all a secret, is any business of a process that reads strangers' files.
            self.process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-P", "-m", self._module, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._control = ours
        return ours


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOPPING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
