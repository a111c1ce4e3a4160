"""Processes under measurement: pinned to a core, waited for, their CPU time read, ended as a whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
import redis

from service import embedded
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
START = 60.0
"""Seconds that a process may take to be ready."""

Cores = frozenset[int] | None
"""None: wherever the scheduler likes."""


class Running:
    """A process and its children; their CPU time counts as one."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> float:
        """Seconds, user and system, of it and all its children, those that have ended included."""
        total = 0.0
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(self._process.pid)
            for one in [top, *top.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    times = one.cpu_times()
                    total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self) -> int:
        """Resident bytes of it and its children."""
        top = psutil.Process(self._process.pid)
        return sum(one.memory_info().rss for one in [top, *top.children(recursive=True)])

    def stop(self) -> None:
        """Before its block ends."""
        _end(self._process)

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    def check(self) -> None:
        if (code := self._process.poll()) is not None:
            raise RuntimeError(f"it ended with exit code {code}:\n{self.said()}")

    def checked(self, ask: Callable[[], T]) -> Callable[[], T]:
        """The same question, asked only while it runs."""

        def asked() -> T:
            self.check()
            return ask()

        return asked


@contextmanager
def started(
    command: Sequence[str],
    environment: Mapping[str, str],
    cores: Cores,
    ready: Callable[[], bool] | None = None,
) -> Iterator[Running]:
    """Until the block ends; then the whole process group is told to end, and made to."""
    with tempfile.NamedTemporaryFile("wb", suffix=".log") as log:
        process = subprocess.Popen(
            command,
            env={**_plain_environment(), **environment},
            cwd=ROOT,
            stdout=log,
            stderr=log,
            process_group=0,
            preexec_fn=_pinning(cores),  # noqa: PLW1509 - nothing here has threads
        )
        running = Running(process, Path(log.name))
        try:
            if ready is not None:
                wait_until(running.checked(ready), timeout=START)
            yield running
        except BaseException:
            sys.stderr.write(running.said())
            raise
        finally:
            _end(process)


def _pinning(cores: Cores) -> Callable[[], None] | None:
    return (lambda: os.sched_setaffinity(0, cores)) if cores else None


def _plain_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def output_of(command: Sequence[str], cores: Cores) -> dict[str, Any]:
    """The JSON that a command prints."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        check=False,
        preexec_fn=_pinning(cores),
    )
    if done.returncode:
        raise RuntimeError(f"{command[:4]} failed:\n{done.stderr.decode()[-2000:]}")
    found = json.loads(done.stdout)
    if not isinstance(found, dict):
        raise TypeError(f"{command[:4]} printed no object")
    return found


@contextmanager
def redis_server(cores: Cores, *options: str) -> Iterator[Server]:
    """The embedded server as `up` starts it: every write on disk before its answer."""
    with tempfile.TemporaryDirectory() as folder:
        port = embedded.free_port()
        command = [*embedded.command(Path(folder), port), *options]
        with started(command, {}, cores, lambda: _answers(port)) as running:
            yield Server(port, running)


class Server:
    def __init__(self, port: int, running: Running) -> None:
        self.url = embedded.url(port)
        self.client = redis.Redis(port=port, decode_responses=True)
        self.running = running

    def empty(self) -> None:
        self.client.flushall()


def _answers(port: int) -> bool:
    try:
        return bool(redis.Redis(port=port).ping())
    except redis.ConnectionError:
        return False


def timed(running: Running, act: Callable[[], None]) -> tuple[float, float]:
    """(seconds, CPU seconds of the process) that it took."""
    cpu, began = running.cpu(), time.perf_counter()
    act()
    return time.perf_counter() - began, running.cpu() - cpu
