"""The real command line as a process of its own, in an empty folder, and a ledger to find things in."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from service import clock
from service.events import Event, Kind, delivery_id
from service.hooks import Dead
from service.intake import Intake
from service.ledger import Arrival, Commit, Ledger
from service.prediction import Nsfw, Reason, Ref, Report, Stage, Step, Verdict, Via
from tests import forged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

T = TypeVar("T")
SOURCE = "wavespeed"
NOWHERE = "http://127.0.0.1:9/api/v3"
"""A provider that nobody is: no test asks the real one."""
RETENTION = 30 * 86_400.0
DELIVERY = delivery_id("evt_1", "crm")
"""The one that `told` leaves behind."""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """`run("show", "x", lease="3s")`: arguments as they are typed, settings by attribute name."""

    def __init__(self, folder: Path, redis_url: str | None) -> None:
        self.folder = folder
        self.redis_url = redis_url
        self.also: dict[str, str] = {}
        """Variables without our prefix."""

    def environment(self, **settings: str) -> dict[str, str]:
        ours = (
            {"provider_url": NOWHERE} | ({"redis_url": self.redis_url} if self.redis_url else {}) | settings
        )
        plain = {"PATH": os.environ["PATH"]} | self.also
        return plain | {f"CATCHLIGHT_{name.upper()}": value for name, value in ours.items()}

    def run(self, *arguments: str, **settings: str) -> Ran:
        return self.run_in(self.environment(**settings), *arguments)

    def run_in(self, environment: Mapping[str, str], *arguments: str) -> Ran:
        """With exactly these variables, say those of a story's house."""
        command = [sys.executable, "-m", "service.cli", *arguments]
        done = forged.run(command, cwd=self.folder, env=dict(environment), timeout=60)
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "service.cli", *arguments],
            cwd=self.folder,
            env=self.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def in_ledger(redis_url: str, act: Callable[[Ledger], Awaitable[T]]) -> T:
    """What `act` returns, with a ledger that is closed afterwards."""

    async def opened() -> T:
        ledger = Ledger(redis_url, RETENTION)
        try:
            return await act(ledger)
        finally:
            await ledger.aclose()

    return asyncio.run(opened())


def completed(id_: str, model: str = "vendor/model", **more: Any) -> Arrival:
    """A genuine callback about one clean output."""
    outputs = ("https://cdn.example/0.png",)
    report = Report(
        id_,
        "completed",
        Verdict.COMPLETED,
        model,
        outputs=outputs,
        nsfw=(Nsfw.CLEAN,),
        payload={"outputs": outputs},
    )
    return Arrival(Ref(SOURCE, id_), Via.CALLBACK, Step.CALLED_BACK, report, **more)


def awaited(id_: str, **more: Any) -> Arrival:
    return Arrival(Ref(SOURCE, id_), Via.TRACK, Step.TRACKED, due_in=60, **more)


def accept(redis_url: str, *arrivals: Arrival) -> None:
    in_ledger(redis_url, lambda ledger: Intake(ledger).accept_all(arrivals))


def end(redis_url: str, id_: str, commit: Commit) -> None:
    """A completion that a worker took up and committed."""
    ref = Ref(SOURCE, id_)

    async def act(ledger: Ledger) -> None:
        await Intake(ledger).accept(completed(id_))
        record = await ledger.predictions.lease(ref, 10, "worker-1")
        assert record is not None
        assert await ledger.predictions.commit(ref, Stage.WORKING, record.token, commit)

    in_ledger(redis_url, act)


def dead(redis_url: str, *ids: str) -> None:
    for id_ in ids:
        end(redis_url, id_, Commit(Stage.DEAD, Reason.OUTPUTS_BAD, "truncated", outputs=[]))


def stage(redis_url: str, id_: str) -> Stage | str:
    record = in_ledger(redis_url, lambda ledger: ledger.reading.record(Ref(SOURCE, id_)))
    assert record is not None
    return record.stage


def told(redis_url: str, id_: str) -> None:
    """A prediction that is done, and one delivery of it for which we gave up."""
    event = Event("evt_1", Kind.COMPLETED, "{}", ("crm",))
    end(redis_url, id_, Commit(Stage.DONE, outputs=[], events=[event]))

    async def give_up(ledger: Ledger) -> None:
        delivery = await ledger.deliveries.take(DELIVERY, 10)
        assert delivery is not None
        reason = Dead("HTTP 500, after 10 attempts", disable=False)
        await ledger.deliveries.attempted(delivery, reason, status=500, error="answered 500", now=clock.now())

    in_ledger(redis_url, give_up)
