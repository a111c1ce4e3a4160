"""Every named failpoint dies, fails and stalls once under load; nothing is lost or doubled."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

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
    from collections.abc import Sequence

    from tests.faults.chance import Chance
    from tests.faults.processes import Slot

WORKERS = 4
STALL = 3.0
"""Seconds, longer than a lease of the family."""
RATE = 8.0
REACHED_WITHIN = 30.0
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
    """The names are dealt over the processes of the role, and each process meets its share."""
    threads = [
        threading.Thread(target=_meet, args=(family, act, names[at :: len(slots)], slot, unreached))
        for at, slot in enumerate(slots)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _meet(family: Family, act: Act, names: Sequence[str], slot_name: str, unreached: list[str]) -> None:
    """One after the other where each is the end of a process; else all in one, or in those that follow it."""
    slot, left = family.processes.slots[slot_name], list(names)
    while left:
        armed = left[:1] if act is Act.KILL else left
        with slot.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            starts = _arm(family, act, armed, slot_name)
            reached = _reached(slot, log, armed, starts, ends=act is Act.KILL)
        if act is Act.RAISE and reached and len(reached) < len(armed) and slot.starts > starts:
            # A bug that ends the process: the rest in the next one.
            left = [name for name in left if name not in reached]
        else:
            unreached += [f"{name}={act}" for name in armed if name not in reached]
            left = left[len(armed) :]


def _reached(slot: Slot, log: BinaryIO, armed: Sequence[str], starts: int, *, ends: bool) -> set[str]:
    """Which have acted, once the process has ended, or all have if it need not end."""
    found: set[str] = set()

    def over() -> bool:
        died = slot.starts > starts
        for line in log:
            if b'"failpoint"' in line:
                found.update(name for name in armed if f'"{name}"'.encode() in line)
        return died or (not ends and found == set(armed))

    with suppress(AssertionError):
        wait_until(over, REACHED_WITHIN)
    return found


def _arm(family: Family, act: Act, names: Sequence[str], slot_name: str) -> int:
    """In a new process; how many there were in its place by then."""
    slot = family.processes.slots[slot_name]
    if slot_name == "sweep":
        # The lead of a killed sweeper runs out in ten seconds; other tests wait for that.
        family.redis.delete(keys.SWEEPER)
    how = f"stall:{STALL:g}s" if act is Act.STALL else str(act)
    starts = slot.starts + 1
    family.restart(slot_name, ",".join(f"{name}={how}" for name in names), hard=True)
    return starts


def _submit(family: Family, over: threading.Event) -> None:
    """Through our API, now and then; whoever got no answer does not ask again."""
    body = {"model": MODEL, "input": {"prompt": "a fox", "simulate": "clean"}}
    while not over.wait(0.3):
        try:
            httpx.post(f"{family.base}/api/v1/predictions", json=body, timeout=10, trust_env=False)
        except httpx.HTTPError:
            continue
