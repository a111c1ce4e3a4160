"""Every named failpoint dies, fails and stalls once under load; nothing is lost or doubled."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

import service
import workers
from service import keys
from service.failpoints import NAMES, Act
from tests.faults.family import MODEL, Family
from tests.faults.load import Load
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.chance import Chance

WORKERS = 4
STALL = 3.0
"""Seconds, longer than a lease of the family."""
RATE = 8.0
REACHED_WITHIN = 20.0
ROLE_OF_ROOM = {
    **dict.fromkeys(("accept", "receiver", "submit"), "serve"),
    **dict.fromkeys(("sweep", "poll", "reconcile"), "sweep"),
}
"""The role in which a room's failpoints are armed; all others in a worker."""


def sources() -> str:
    folders = [Path(*package.__path__) for package in (service, workers)]
    files = [path for folder in folders for path in folder.rglob("*.py") if path.name != "failpoints.py"]
    return "\n".join(path.read_text("utf-8") for path in files)


def wired() -> list[str]:
    text = sources()
    return [name for name in NAMES if f'"{name}"' in text]


def of_role(role: str) -> list[str]:
    return [name for name in wired() if ROLE_OF_ROOM.get(name.partition(".")[0], "work") == role]


def test_every_failpoint_is_reached_somewhere() -> None:
    assert set(NAMES) - set(wired()) == set()


@pytest.mark.parametrize("act", [Act.KILL, Act.RAISE, Act.STALL])
def test_nothing_is_lost_or_doubled_at_any_failpoint(act: Act, tmp_path: Path, chance: Chance) -> None:
    unreached: list[str] = []
    with Family(tmp_path, chance.seed, ways=(), workers=WORKERS) as family:
        load = Load(family, chance, 2_000, RATE)
        lanes: list[tuple[str, Sequence[str]]] = [
            ("serve", ["serve"]),
            ("work", [f"work-{number + 1}" for number in range(WORKERS)]),
            ("sweep", ["sweep"]),
        ]
        threads = [
            threading.Thread(target=_try_all, args=(family, act, of_role(role), slots, unreached))
            for role, slots in lanes
        ]
        submitting = threading.Event()
        submitter = threading.Thread(target=_submit, args=(family, submitting))
        for thread in (submitter, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        submitting.set()
        submitter.join()
        load.stop()
        family.calm()
        family.settle()
        # Raised, a failpoint is a bug to our code, and a bug is answered 500.
        family.judge(ignore=["I8 answers"] if act is Act.RAISE else [])
    assert unreached == []


def _try_all(
    family: Family, act: Act, names: Sequence[str], slots: Sequence[str], unreached: list[str]
) -> None:
    """As many at once as there are processes of the role."""
    for at in range(0, len(names), len(slots)):
        pairs = list(zip(names[at : at + len(slots)], slots, strict=False))
        waiting = []
        for name, slot in pairs:
            waiting.append((name, _arm(family, act, name, slot)))
        for name, acted in waiting:
            try:
                wait_until(acted, REACHED_WITHIN)
            except AssertionError:
                unreached.append(f"{name}={act}")


def _arm(family: Family, act: Act, name: str, slot_name: str) -> Callable[[], bool]:
    """Whether it has acted, to be asked."""
    slot = family.processes.slots[slot_name]
    if slot_name == "sweep":
        # The lead of a killed sweeper runs out in ten seconds; other tests wait for that.
        family.redis.delete(keys.SWEEPER)
    how = f"stall:{STALL:g}s" if act is Act.STALL else str(act)
    armed, began = slot.starts + 1, time.monotonic()
    family.restart(slot_name, f"{name}={how}", hard=True)
    match act:
        case Act.KILL:
            return lambda: slot.starts > armed
        case Act.RAISE:
            return lambda: slot.starts > armed or name in slot.said()
        case _:
            return lambda: time.monotonic() - began > STALL + 1


def _submit(family: Family, over: threading.Event) -> None:
    """Through our API, now and then; whoever got no answer does not ask again."""
    body = {"model": MODEL, "input": {"prompt": "a fox", "simulate": "clean"}}
    while not over.wait(0.3):
        try:
            httpx.post(f"{family.base}/api/v1/predictions", json=body, timeout=10, trust_env=False)
        except httpx.HTTPError:
            continue
