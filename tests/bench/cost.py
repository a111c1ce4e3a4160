"""What one prediction costs, from its callback to its hook and its compact form: real processes, not pinned.

CPU time is that of the processes, which others on the machine do not add to (they do make caches colder).
What the roles and Redis do when nothing comes is measured first and taken off. Redis' fsyncs are counted by
strace, in runs of their own, for it slows what it looks at.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service import keys
from service.prediction import Stage
from tests.bench import callbacks, counted, filling
from tests.bench.contestants import PYTHON
from tests.bench.generator import Connection
from tests.bench.household import ROLES, House, house, ready
from tests.bench.processes import output_of, started
from tests.bench.report import Figures, Report, Sheet, interleaved
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

CONNECTIONS = 64
WARM = 100
PATIENCE = 300.0
OK = 200
IDLE = 6.0
"""Seconds."""
MB = 1_000_000
CPU = ("receiver ms", "worker ms", "sweeper ms", "redis ms")
REDIS = ("commands", "scripts", "round trips", "redis in", "redis out", "aof bytes", "fsyncs")
KEPT = ("memory", "compact", "disk", "files", "network in", "network out")
RESIDENT = ("receiver MB", "worker MB", "sweeper MB")
_FOLLOWS = 0.1


@dataclass(frozen=True)
class Shape:
    """Of the predictions of one measurement; `every` seconds one, or all at once over CONNECTIONS."""

    count: int
    outputs: int = 1
    size: int = MB
    hooks: bool = True
    polled: bool = False
    every: float = 0.0


SHAPES = {
    "1 MB, 1 hook": Shape(400),
    "ten a second": Shape(100, every=_FOLLOWS),
    "no hook": Shape(400, hooks=False),
    "4 outputs": Shape(150, outputs=4),
    "10 MB": Shape(60, size=10 * MB),
    "polled": Shape(400, polled=True),
}


def run(*, quick: bool, rounds: int) -> list[Report]:
    shapes = {name: _less(shape) if quick else shape for name, shape in SHAPES.items()}
    first = next(iter(shapes))
    report = Sheet(f"one prediction, next to `{first}`", (*CPU, *REDIS, *KEPT, *RESIDENT), "worker ms")
    idle = Sheet("a second of each when nothing comes", (*CPU, *REDIS[:-1]), "")
    loads = [os.getloadavg()[0]]

    def measured(shape: Shape, _: int) -> Figures:
        found, nothing = _measured(shape)
        idle.rounds["idle"].append(nothing)
        loads.append(os.getloadavg()[0])
        return found

    of_shapes = {name: functools.partial(measured, shape) for name, shape in shapes.items()}
    interleaved(report, of_shapes, rounds)
    for name, shape in shapes.items():
        sys.stderr.write(f"fsyncs: {name}\n")
        if (n := _fsyncs(_less(shape))) is not None:
            for one in report.rounds[name]:
                one["fsyncs"] = n
    report.notes.append(
        f"load average meanwhile: {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores;"
        f" `ten a second` comes one by one, all else over {CONNECTIONS} connections as fast as it is taken"
    )
    return [report, idle]


def _less(shape: Shape) -> Shape:
    return Shape(max(20, shape.count // 4), shape.outputs, shape.size, shape.hooks, shape.polled, shape.every)


def _measured(shape: Shape) -> tuple[Figures, Figures]:
    with _opened(shape) as place:
        _warmed(place, shape)
        nothing = _idle(place)
        memory, before = counted.used(place), counted.totals(place)
        _sent(place, shape)
        _ended(place, WARM + shape.count, hooks=shape.hooks)
        after, full = counted.totals(place), counted.used(place)
        cost = counted.per_one(before, after, nothing, shape.count)
        resident = {f"{counted.NAMES[role]} MB": place.running[role].memory() / MB for role in ROLES}
        _compacted(place)
        compact = counted.used(place)
        kept = (full - memory) / shape.count
        # What was warmed up with is compact by then as well.
        cost |= {"memory": kept, "compact": kept - (full - compact) / (WARM + shape.count)}
    return cost | _network(shape, cost) | resident, nothing


def _fsyncs(shape: Shape) -> float | None:
    """A prediction's; None where strace is missing."""
    with _opened(shape) as place:
        _warmed(place, shape)
        pid = place.server.running.pid
        with counted.fsyncs(pid) as idle:
            time.sleep(IDLE)
        began = time.monotonic()
        with counted.fsyncs(pid) as found:
            _sent(place, shape)
            _ended(place, WARM + shape.count, hooks=shape.hooks)
        if not found:
            return None
        return (found[0] - idle[0] / IDLE * (time.monotonic() - began)) / shape.count


def _opened(shape: Shape) -> AbstractContextManager[House]:
    # Polls at once and as fast as may be, and compact forms only when they are measured.
    return house(
        ROLES,
        size=shape.size,
        hooks=shape.hooks,
        POLL_AFTER="0s",
        POLL_RATE="1000/s",
        COMPACT_AFTER="1d",
    )


def _warmed(place: House, shape: Shape) -> None:
    """Connections, caches and scripts are warm, and none of it is under way any more."""
    _generated(place, WARM, "warm", 1)
    _ended(place, WARM, hooks=shape.hooks)


def _idle(place: House) -> Figures:
    before = counted.totals(place)
    time.sleep(IDLE)
    return counted.a_second(before, counted.totals(place))


def _sent(place: House, shape: Shape) -> None:
    if shape.polled:
        filling.awaited(place.server.url, [f"cost{n:07d}" for n in range(shape.count)])
    elif shape.every:
        _one_by_one(place, shape)
    else:
        _generated(place, shape.count, "cost", shape.outputs)


def _generated(place: House, count: int, prefix: str, outputs: int) -> None:
    command = [PYTHON, "-m", "tests.bench.generator", "--port", str(place.port), "--count", str(count)]
    command += ["--connections", str(CONNECTIONS), "--prefix", prefix]
    sent = output_of([*command, "--output", place.output, "--outputs", str(outputs)], None)
    if sent["statuses"] != {"200": count}:
        raise RuntimeError(f"not all were accepted: {sent['statuses']}")


def _one_by_one(place: House, shape: Shape) -> None:
    connection = Connection(place.port)
    ids = [f"cost{n:07d}" for n in range(shape.count)]
    next_at = time.monotonic()
    for request in callbacks.requests(ids, place.port, place.output, shape.outputs):
        connection.send(request)
        while (status := connection.status()) is None:
            pass
        if status != OK:
            raise RuntimeError(f"answered {status}")
        next_at += shape.every
        time.sleep(max(0.0, next_at - time.monotonic()))


def _ended(place: House, count: int, *, hooks: bool) -> None:
    """Every one of them, and whoever is to be told was."""

    def over() -> bool:
        told = place.notes.read_bytes().count(b"\n") if hooks else count
        open_ = sum(
            place.server.client.zcard(key) for key in (keys.DELIVERIES_ACTIVE, keys.DELIVERIES_WAITING)
        )
        return place.server.client.zcard(keys.STAGE + Stage.DONE) >= count <= told and not open_

    wait_until(over, timeout=PATIENCE, what=f"{count} have ended and are told")


def _compacted(place: House) -> None:
    """Another sweeper, with the first one gone, that makes everything compact at once."""
    command = [PYTHON, "-m", "workers", "sweep"]
    place.running["sweep"].stop()
    with started(command, place.environment | {"CATCHLIGHT_COMPACT_AFTER": "0s"}, None) as sweeper:
        ready(sweeper, "sweep")
        wait_until(
            lambda: not place.server.client.zcard(keys.SETTLED), timeout=PATIENCE, what="all are compact"
        )


def _network(shape: Shape, cost: Mapping[str, float]) -> Figures:
    """Of a prediction, bytes in and out of the machine with the worker, but for Redis and an object store."""
    called = len(callbacks.requests(["cost0000000"], 9, callbacks.OUTPUT, shape.outputs)[0])
    return {"network in": shape.outputs * shape.size + called, "network out": cost["hook bytes"]}
