"""One process after the other is replaced as the runbook says, under steady callbacks: none may fail."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from service import embedded
from service.simulator.plot import Kind
from tests import fronts
from tests.faults.chance import Chance
from tests.faults.family import Family
from tests.faults.load import Load
from tests.faults.processes import Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from service.simulator.truth import Sent
    from tests.faults.upgrade.versions import Version

    Front = Callable[[Path, Sequence[int]], AbstractContextManager[str]]
    """A folder of its own, and the ports of the receivers, to its URL."""

PLACES = ("sweep", "work-1", "work-2", "serve-1", "serve-2")
"""In the order of the runbook: receivers last. Each stops before the next one starts, which has its port, and
the front asks the other one; of all others the next one is ready before the last is stopped.
"""
_FOR_EVER = 1_000_000
_PATIENCE = 120.0
"""Seconds for a start: what is not of this tree is not forked, and loads everything itself."""


@dataclass
class Step:
    """One process in the place of another."""

    place: str
    version: str
    ready_after: float
    """Seconds from its start."""
    drained_after: float
    """Seconds that the one before took to its end."""
    code: int
    """With which that ended."""


@dataclass
class Summary:
    steps: list[Step] = field(default_factory=list)
    predictions: int = 0
    callbacks: int = 0
    """Genuine ones, each attempt."""
    refused: list[str] = field(default_factory=list)
    """Those of them whose answer was no 2xx."""
    delivered: int = 0

    @property
    def passed(self) -> bool:
        return not self.refused and not any(step.code for step in self.steps)

    def public(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed}


class Rolling(Family):
    """A family of one version at first; `front` is a URL, before receivers at the two ports."""

    def __init__(
        self, folder: Path, first: Version, places: Sequence[str], front: str, ports: Sequence[int]
    ) -> None:
        super().__init__(folder, folder.name, ways=())
        self._places = places
        self._first = first
        self._url_of_front = front
        self._ports = dict(zip(("serve-1", "serve-2"), ports, strict=True))
        self._living: dict[str, str] = {}
        """Place → the slot of the process that has it."""
        self._made = 0

    def _environment(self, redis_url: str, hook: str) -> dict[str, str]:
        settings = super()._environment(redis_url, hook)
        self.base = self._url_of_front
        return settings | {"CATCHLIGHT_PUBLIC_URL": self.base}

    def _start_roles(self) -> None:
        for place in self._places:
            # The first of a new environment compiles what the others then load.
            self._start(place, self._first, wait=place == self._places[0])
        for name in self._living.values():
            self.processes.wait_ready(name, _PATIENCE)
        in_flight = int(self.environment["CATCHLIGHT_CONCURRENCY"]) * 2
        self.history.write("run", seed=self.seed, hooks=list(self.sinks), in_flight=in_flight)

    def _start(self, place: str, version: Version, *, wait: bool = True) -> float:
        """Seconds until it was ready; the place is its own then."""
        began = time.monotonic()
        self._made += 1
        role = place.partition("-")[0]
        port = ("--port", str(self._ports[place])) if role == "serve" else ()
        name = f"{place}-{version.name}-{self._made}"
        log = self.folder / f"{name}.log"
        slot = Slot(name, version.command(role, *port), self.environment, f"ready role={role}", log)
        self.processes.add(slot, wait=False)
        if wait:
            self.processes.wait_ready(name, _PATIENCE)
        self._living[place] = name
        return round(time.monotonic() - began, 1)

    def replace(self, place: str, version: Version) -> Step:
        last = self._living[place]
        if place in self._ports:
            code, drained = self._retire(last)
            ready = self._start(place, version)
        else:
            ready = self._start(place, version)
            code, drained = self._retire(last)
        return Step(place, version.name, ready, drained, code)

    def _retire(self, name: str) -> tuple[int, float]:
        began = time.monotonic()
        code = self.processes.retire(name)
        return code, round(time.monotonic() - began, 1)

    def sent(self) -> list[Sent]:
        """Every attempt at a genuine callback so far."""
        everything = self.backstage.call(
            lambda: [sent for one in self.simulator.listed() for sent in one.sent]
        )
        return [sent for sent in everything if sent.kind is not Kind.FORGED]


def roll(
    folder: Path,
    first: Version,
    turns: Sequence[Version],
    say: Callable[[str], None],
    *,
    rate: float,
    between: int,
    places: Sequence[str] = PLACES,
    front: Front = fronts.nginx,
) -> Summary:
    """From the first version to each of the others in turn, `between` predictions after each replacement.

    Raises AssertionError with the checker's report when anything was lost, told twice, or moved illegally.
    """
    summary = Summary()
    ports = [embedded.free_port(), embedded.free_port()]
    (folder / "front").mkdir(parents=True)
    with (
        front(folder / "front", ports) as url,
        Rolling(folder / "run", first, places, url, ports) as family,
    ):
        load = Load(family, Chance(folder.name), _FOR_EVER, rate)
        try:
            load.reached(between)
            for version in turns:
                for place in places:
                    step = family.replace(place, version)
                    summary.steps.append(step)
                    say(_told(step))
                    load.reached(len(load.ids) + between)
        finally:
            load.stop()
        account = family.ends_well()
        sent = family.sent()
    summary.callbacks = len(sent)
    summary.refused = [f"{one.kind} {one.status} {one.error}".strip() for one in sent if not one.taken]
    summary.predictions = len(account.predictions)
    summary.delivered = sum(line["status"] == 200 for line in account.by_what["hook"])
    return summary


def _told(step: Step) -> str:
    drained = f"the one before drained in {step.drained_after} s, exit {step.code}"
    return f"{step.place:<8} {step.version}: ready after {step.ready_after} s; {drained}"
