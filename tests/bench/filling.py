"""Work to do, put where each contestant looks for it before it is started."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import TYPE_CHECKING

from service import wavespeed
from service.intake import Intake
from service.ledger import Arrival, Ledger
from service.prediction import Ref, Step, Via
from tests.bench import callbacks
from tests.bench.processes import ROOT
from tests.builders import RETENTION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.contestants import Peer

AT_ONCE = 1_000


def bodies(count: int, port: int, prefix: str = "w") -> list[bytes]:
    """Callbacks of predictions whose one output is at the origin on `port`."""
    return [callbacks.body(f"{prefix}{n:07d}", f"http://127.0.0.1:{port}/{{id}}.png") for n in range(count)]


def ours(url: str, said: Sequence[bytes]) -> None:
    """Through the one door."""

    async def fill() -> None:
        ledger = Ledger(url, RETENTION)
        door = Intake(ledger)
        for start in range(0, len(said), AT_ONCE):
            await door.accept_all([arrival(body) for body in said[start : start + AT_ONCE]])
        await ledger.aclose()

    asyncio.run(fill())


def awaited(url: str, ids: Sequence[str]) -> None:
    """Predictions of which only the id is known, with a poll that is due."""
    known = [Arrival(Ref(wavespeed.SOURCE, id_), Via.TRACK, Step.TRACKED, due_in=0) for id_ in ids]

    async def fill() -> None:
        ledger = Ledger(url, RETENTION)
        await Intake(ledger).accept_all(known)
        await ledger.aclose()

    asyncio.run(fill())


def arrival(body: bytes) -> Arrival:
    report = wavespeed.report(json.loads(body))
    ref = Ref(wavespeed.SOURCE, report.id)
    return Arrival(ref, Via.CALLBACK, Step.CALLED_BACK, report, detail=report.status)


def theirs(peer: Peer, url: str, said: Sequence[bytes]) -> None:
    lines = b"\n".join(said) + b"\n"
    subprocess.run([*peer.command, "fill"], input=lines, env=peer.environment(url), cwd=ROOT, check=True)
