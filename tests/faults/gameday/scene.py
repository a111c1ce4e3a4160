"""Where a drill takes place: a family on a Redis as shipped, a Prometheus that watches it, and load."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from service.simulator.scenario import Scenario
from tests.disks import small_disk
from tests.faults.chance import Chance
from tests.faults.family import Family
from tests.faults.gameday.watch import Watch
from tests.faults.load import Load
from tests.faults.processes import Slot
from tests.forged import run
from tests.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

RATE = 4.0
"""Predictions per second, until the drill is over."""
_FOR_EVER = 100_000
_MIX = {Scenario.CLEAN: 8, Scenario.MULTI: 1, Scenario.FLAGGED: 1, Scenario.DUPLICATE: 1}
_OF_THE_SYSTEM = ("aclfile ", "dir ")
"""Lines of redis.conf that name places which only the system's own Redis may enter."""
_ROLES = {"serve", "work", "sweep"}


class Ran(NamedTuple):
    command: str
    code: int
    said: str
    """Both streams."""


class OnRedis(Family):
    """With the server of the system and redis.conf as shipped, but for its place, its port and its users."""

    def redis_command(self, port: int) -> list[str]:
        folder = self.folder / "redis"
        folder.mkdir()
        shipped = (ROOT / "deploy" / "redis.conf").read_text().splitlines()
        conf = folder / "redis.conf"
        conf.write_text("\n".join(line for line in shipped if not line.startswith(_OF_THE_SYSTEM)))
        return ["redis-server", str(conf), "--port", str(port), "--dir", str(folder), "--logfile", "log"]


class Scene:
    """A context manager. `disk`: the size of a disk of its own for outputs, like `64m`."""

    def __init__(self, folder: Path, changes: Mapping[str, str], ways: Sequence[str], disk: str) -> None:
        self.folder = folder
        self.family = OnRedis(folder, folder.name, changes=changes, ways=ways)
        self._disk = disk
        self._stack = ExitStack()
        self.watch: Watch
        self.load: Load
        self._told = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder.mkdir(parents=True)
            if self._disk:
                stack.enter_context(small_disk(self.family.storage, self._disk))
            stack.enter_context(self.family)
            target = self.family.base.removeprefix("http://")
            self.watch = Watch(self.folder / "prometheus", self.family.processes, target)
            stack.callback(self.watch.close)
            self.load = Load(self.family, Chance(self.folder.name), _FOR_EVER, RATE, _MIX, unannounced=0.0)
            stack.callback(self.load.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def status(self) -> tuple[int, dict[str, str]]:
        """Its exit code, and the troubles that it names, each with its fix."""
        ran = run(self._command("status", "--json"), env=self.family.environment, timeout=60)
        said: dict[str, Any] = json.loads(ran.stdout)
        return ran.returncode, {one["name"]: one["fix"] for one in said["problems"]}

    def type(self, command: str) -> Ran:
        """As a person would. A role that is started goes on, and is waited for until it is ready."""
        words = shlex.split(command.replace("localhost:8080", self.family.base.removeprefix("http://")))
        if words[0] == "catchlight" and words[1] in _ROLES:
            return self._start(command, words[1:])
        line = self._command(*words[1:]) if words[0] == "catchlight" else words
        ran = run(line, env=self.family.environment | {"PATH": "/usr/bin:/bin"}, timeout=90)
        return Ran(command, ran.returncode, ran.stdout + ran.stderr)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "service.cli", *words]

    def _start(self, command: str, words: list[str]) -> Ran:
        self._told += 1
        name = f"{words[0]}-told-{self._told}"
        log = self.folder / f"{name}.log"
        environment = self.family.environment
        slot = Slot(name, self._command(*words), environment, f"ready role={words[0]}", log)
        self.family.processes.add(slot)
        return Ran(command, 0, slot.said())
