"""The course of a drill: calm, broken, alerted, on the banner, mended by the runbook, and nothing is lost."""

from __future__ import annotations

import time
import traceback
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.gameday.runbook import filled, steps
from tests.faults.gameday.scene import Scene
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

UNHEALTHY = 4
CALM_AFTER = 8
"""Predictions that were submitted before anything breaks."""
CALM_WITHIN, FIRES_WITHIN, RESOLVES_WITHIN = 30.0, 150.0, 200.0


def nothing(_: Scene) -> None:
    """Outside of Catchlight."""


@dataclass(frozen=True)
class Drill:
    name: str
    about: str
    alert: str
    trouble: str
    """What `catchlight status` calls it."""
    breaks: Callable[[Scene], None]
    outside: str = ""
    """The runbook's words for what has to be done outside of Catchlight; none when its command is all."""
    mends: Callable[[Scene], None] = nothing
    codes: Mapping[str, int] = field(default_factory=dict)
    """Exit codes of the runbook's commands while it is broken, where that is not 0."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What stands for NAME and FILE; `{folder}` in it is the drill's."""
    changes: Mapping[str, str] = field(default_factory=dict)
    """Settings."""
    ways: tuple[str, ...] = ()
    disk: str = ""


@dataclass
class Report:
    drill: str
    alert: str
    passed: bool = False
    fired_after: float = 0.0
    """Seconds from the break."""
    resolved_after: float = 0.0
    """Seconds from the end of the runbook's steps."""
    seconds: float = 0.0
    predictions: int = 0
    commands: list[str] = field(default_factory=list)
    """Of the runbook, in the order in which they were run."""
    problem: str = ""

    def public(self) -> dict[str, Any]:
        return asdict(self)


class Course:
    """One run of a drill; `say` is told each step as it is reached."""

    def __init__(self, drill: Drill, folder: Path, say: Callable[[str, str], None]) -> None:
        self._drill = drill
        self._folder = folder
        self._say = say
        self.report = Report(drill.name, drill.alert)

    def run(self) -> Report:
        """Whatever is wrong is in the report."""
        began = time.monotonic()
        drill = self._drill
        try:
            with Scene(self._folder, drill.changes, drill.ways, drill.disk) as scene:
                self._through(scene)
            self.report.passed = True
        except pytest.skip.Exception as unable:
            self.report.problem = f"{unable}: be root, or put `unshare --map-root-user --mount` in front"
        except Exception as failed:  # noqa: BLE001 - whatever ends a drill, the others go on and the table tells
            self.report.problem = f"{failed!r}\n{traceback.format_exc()}kept in {self._folder}"
        self.report.seconds = round(time.monotonic() - began, 1)
        self._say(drill.name, "passed" if self.report.passed else f"FAILED: {self.report.problem}")
        return self.report

    def _through(self, scene: Scene) -> None:
        drill, watch = self._drill, scene.watch
        self._calm(scene)
        self._say(drill.name, f"calm; now: {drill.about}")
        broken = time.monotonic()
        drill.breaks(scene)
        wait_until(lambda: drill.alert in watch.alerts(), FIRES_WITHIN, f"{drill.alert} fires")
        self.report.fired_after = round(time.monotonic() - broken, 1)
        annotations = watch.alerts()[drill.alert]
        self._say(
            drill.name, f"{drill.alert} fires after {self.report.fired_after:.0f} s: {annotations['summary']}"
        )
        self._banner(scene, annotations["command"])
        self._mend(scene, annotations)
        mended = time.monotonic()
        wait_until(
            lambda: self._is_over(scene), RESOLVES_WITHIN, f"{drill.alert} resolves, and status is well"
        )
        self.report.resolved_after = round(time.monotonic() - mended, 1)
        self._say(drill.name, f"resolved {self.report.resolved_after:.0f} s later, status is healthy")
        self._verify(scene)

    def _calm(self, scene: Scene) -> None:
        scene.load.reached(CALM_AFTER)
        code, troubles = scene.status()
        assert code == 0, f"unhealthy before anything was broken: {troubles}"
        assert self._drill.trouble not in troubles
        # One that is pending may be of a moment before the first answer, or of a busy machine.
        wait_until(lambda: not scene.watch.alerts(""), CALM_WITHIN, "no alert before anything is broken")

    def _banner(self, scene: Scene, command: str) -> None:
        """The same trouble with the same command, whoever looks; a second worker may yet have to find out."""
        trouble = self._drill.trouble
        code, troubles = 0, dict[str, str]()

        def shown() -> bool:
            nonlocal code, troubles
            code, troubles = scene.status()
            return code == UNHEALTHY and trouble in troubles

        try:
            wait_until(shown, 60)
        except AssertionError:
            raise AssertionError(f"status names {sorted(troubles)} and exits {code}; not {trouble}") from None
        fix = troubles[trouble]
        assert fix == command, f"status says `{fix}`, the alert says `{command}`"
        self._say(self._drill.name, f"status: {trouble}, exit {code}, `{fix}`")

    def _mend(self, scene: Scene, annotations: Mapping[str, str]) -> None:
        drill = self._drill
        places = {place: name.format(folder=scene.folder) for place, name in drill.names.items()}
        told = annotations["command"]
        for place, name in places.items():
            told = told.replace(name, place)
        self._steps = steps(annotations["runbook_url"], told, drill.outside)
        self._places = places
        self._do(scene, self._steps.before, drill.codes)
        if drill.outside:
            drill.mends(scene)
            self._say(drill.name, f"done outside: “{drill.outside}”")
        self._do(scene, self._steps.after, {})

    def _do(self, scene: Scene, commands: Iterable[str], codes: Mapping[str, int]) -> None:
        last = ""
        for command in commands:
            line = filled(command, self._places, last)
            ran = scene.type(line)
            last = ran.said
            self.report.commands.append(line)
            self._say(self._drill.name, f"$ {line}  → {ran.code}")
            expected = codes.get(command, 0)
            assert ran.code == expected, f"`{line}` exits {ran.code}, not {expected}:\n{ran.said[-2000:]}"

    def _is_over(self, scene: Scene) -> bool:
        if self._drill.alert in scene.watch.alerts(""):
            return False
        code, troubles = scene.status()
        return code == 0 and self._drill.trouble not in troubles

    def _verify(self, scene: Scene) -> None:
        self._do(scene, self._steps.verification, {})
        scene.load.stop()
        account = scene.family.ends_well()
        self.report.predictions = len(account.predictions)
        self._say(self._drill.name, f"{self.report.predictions} predictions: all terminal, stored and told")
