"""Processes of ours without the second that each takes to load: the forge has loaded all of it already."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
MODULES = ("service.cli", "workers")
_DIFFERENT = ("LD_", "PYTHON", "FAKETIME")
"""Beginnings of variables that the loader and the interpreter read at a start."""


class Forge:
    """Started at the first process that is wanted, one for each process of the tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def order(self, wanted: dict[str, Any], streams: Sequence[int], teller: int) -> None:
        with self._lock:
            control = self._control or self._start()
            socket.send_fds(control, [json.dumps(wanted).encode()], [*streams, teller])

    def _start(self) -> socket.socket:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forge", str(theirs.fileno())],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"]},
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)
        return self._control

    def close(self) -> None:
        if self._control and self._process:
            self._control.close()
            self._process.wait()


_forge = Forge()


class Forged(subprocess.Popen[Any]):
    """A `Popen` of `python [-P] -m service.cli …` or `python -m workers …` that is forked, where it can be.

    In front may stand `nsenter --net=…`.

    Of its options it takes the streams, `cwd`, `env`, `process_group=0` and the text ones.
    """

    if TYPE_CHECKING:
        # Popen's own, which its types leave out.
        _waitpid_lock: threading.Lock
        _close_pipe_fds: Callable[..., None]

    def _execute_child(  # noqa: PLR0917 - Popen calls it so
        self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, cwd: Any, env: Any,
        *rest: Any,
    ) -> None:  # fmt: skip
        self._teller, self._said = -1, b""
        module = _module(args, env)
        if module is None:
            super()._execute_child(  # type: ignore[misc] # a private method, and the only way to keep the rest of Popen
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *rest
            )
            return
        _, _, _, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *more = rest
        wanted = {
            "module": module[0],
            "arguments": module[1],
            "environment": env,
            "folder": os.fspath(cwd or Path.cwd()),
            "group": more[-1] == 0,
            "network": module[2],
        }
        streams = [given if given >= 0 else own for own, given in enumerate((p2cread, c2pwrite, errwrite))]
        self._teller, theirs = os.pipe()
        try:
            _forge.order(wanted, streams, theirs)
        finally:
            os.close(theirs)
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)
        pid = self._line(None)
        if pid is None:
            raise OSError("the forge is gone")
        self.pid = pid
        self._child_created = True

    def _line(self, timeout: float | None) -> int | None:
        """The next number that the forge tells, within so many seconds. Its end is that of the process."""
        while b"\n" not in self._said:
            if not select.select([self._teller], [], [], timeout)[0]:
                return None
            if not (said := os.read(self._teller, 64)):
                # With the forge go all that it made.
                return signal.SIGKILL
            self._said += said
        line, _, self._said = self._said.partition(b"\n")
        return int(line)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._teller < 0:
            waited: tuple[int, int] = super()._try_wait(wait_flags)  # type: ignore[misc] # as above
            return waited
        status = self._line(0 if wait_flags & os.WNOHANG else None)
        if status is None:
            return 0, 0
        os.close(self._teller)
        return self.pid, status

    def _internal_poll(self, _deadstate: int | None = None, *more: Any) -> int | None:
        if self._teller < 0:
            polled: int | None = super()._internal_poll(_deadstate, *more)  # type: ignore[misc] # as above
            return polled
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid:
                        self.returncode = os.waitstatus_to_exitcode(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode


def _module(
    command: Sequence[str], environment: Mapping[str, str] | None
) -> tuple[str, list[str], str] | None:
    """Module, arguments and the network namespace, if a fork of the forge is the same as a start of it."""
    network = ""
    match list(command):
        case ["nsenter", str(first), *rest] if first.startswith("--net="):
            network, command = first.removeprefix("--net="), rest
    match list(command):
        case [sys.executable, "-P", "-m", module, *arguments] | [sys.executable, "-m", module, *arguments]:
            odd = [
                name
                for name, value in (environment or {}).items()
                if name.startswith(_DIFFERENT) and os.environ.get(name) != value
            ]
            if module in MODULES and environment is not None and not odd:
                return module, arguments, network
    return None


def run(command: Sequence[str], *, timeout: float, **options: Any) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run`, with both its streams as text."""
    pipe = subprocess.PIPE
    with Forged(command, stdout=pipe, stderr=pipe, text=True, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)
