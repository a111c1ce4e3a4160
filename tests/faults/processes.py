"""Keeps processes alive that a fault run kills: whatever dies is started again within half a second."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.forged import Forged
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from tests.faults.history import History

LOOK_EVERY = 0.05
BACKOFF = 0.2
GRACE = 15.0
START_TIMEOUT = 40.0


@dataclass(slots=True)
class Slot:
    """A place for one process after the other."""

    name: str
    command: list[str]
    environment: dict[str, str]
    ready: str
    """What it writes to stderr when it is; empty: at once."""
    log: Path
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = True
    not_before: float = 0.0
    """Monotonic."""
    starts: int = 0
    log_from: int = 0
    """Where the log of the process in it begins."""
    once: Mapping[str, str] | None = None
    """Environment of its next start only."""

    @property
    def pid(self) -> int | None:
        process = self.process
        return process.pid if process and process.poll() is None else None

    def said(self) -> str:
        """By the process in it now."""
        with self.log.open("rb") as file:
            file.seek(self.log_from)
            return file.read().decode("utf-8", "replace")

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.log_from = log.tell()
            environment = self.environment | dict(self.once or {})
            self.process = Forged(self.command, env=environment, stderr=log, process_group=0)
        self.once = None
        self.starts += 1


class Processes:
    """Slots by name, and the thread that keeps them filled. A context manager."""

    def __init__(self, history: History) -> None:
        self.slots: dict[str, Slot] = {}
        self._history = history
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._keeper.join()
        self._end([slot for slot in self.slots.values() if slot.ready])
        # What the roles write to ends after them.
        self._end([slot for slot in self.slots.values() if not slot.ready])

    def _end(self, slots: list[Slot]) -> None:
        living = [slot.process for slot in slots if slot.process and slot.process.poll() is None]
        for process in living:
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in living:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _keep(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            with self._lock:
                for slot in list(self.slots.values()):
                    self._look(slot)

    def _look(self, slot: Slot) -> None:
        if slot.process is not None and (code := slot.process.poll()) is not None:
            self._history.write("exit", target=slot.name, code=code)
            slot.process = None
            slot.not_before = max(slot.not_before, time.monotonic() + BACKOFF)
        if slot.process is None and slot.wanted and time.monotonic() >= slot.not_before:
            slot.start()

    def add(self, slot: Slot, *, wait: bool = True) -> None:
        with self._lock:
            slot.start()
            self.slots[slot.name] = slot
        if wait:
            self.wait_ready(slot.name)

    def wait_ready(self, name: str, timeout: float = START_TIMEOUT) -> None:
        slot = self.slots[name]

        def is_ready() -> bool:
            return slot.pid is not None and slot.ready in slot.said()

        wait_until(is_ready, timeout, f"{name} is ready; it said:\n{slot.said()[-3000:]}")

    def kill(self, name: str, *, group: bool = True, down_for: float = 0.0) -> bool:
        """SIGKILL; False when nothing is there to kill. It comes back by itself."""
        slot = self.slots[name]
        with self._lock:
            slot.not_before = time.monotonic() + down_for
            if (pid := slot.pid) is None:
                return False
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(pid, signal.SIGKILL)
        return True

    def signal(self, name: str, number: signal.Signals) -> None:
        with self._lock:
            if (pid := self.slots[name].pid) is not None:
                os.kill(pid, number)

    def restart(self, name: str, once: Mapping[str, str] | None = None, *, hard: bool = False) -> None:
        """End it (SIGTERM unless `hard`) and wait until the next is ready; `once` is for that one alone."""
        slot = self.slots[name]
        starts = slot.starts
        with self._lock:
            slot.once = once
            pid = slot.pid
            if pid is not None:
                os.killpg(pid, signal.SIGKILL if hard else signal.SIGTERM)
        wait_until(lambda: slot.starts > starts, GRACE + 5, f"{name} starts again")
        self.wait_ready(name)

    def retire(self, name: str) -> int:
        """SIGTERM, for good; its exit code."""
        slot = self.slots[name]
        slot.wanted = False
        process = slot.process
        if process is None:
            return 0
        process.terminate()
        code = process.wait(GRACE + 5)
        wait_until(lambda: slot.process is None, what=f"{name} is gone")
        return code
