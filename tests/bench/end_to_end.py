"""From a callback to the hook that is told of it: real processes, one callback at a time, and ten thousand.

Nothing is pinned: the receiver, a worker, the sweeper, Redis, the origin, the hook and the generator share
the machine, as they do behind `up`.
"""

from __future__ import annotations

import functools
import json
import random
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from service import keys
from tests.bench import callbacks, filling
from tests.bench.contestants import PYTHON
from tests.bench.generator import Connection
from tests.bench.household import ROLES, SIZE, House, house
from tests.bench.processes import output_of
from tests.bench.report import Figures, Report, interleaved
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.bench.processes import Server

CONNECTIONS = 64
PATIENCE = 300.0
WARM = 100
STEPS = ("ack ms", "lease ms", "work ms", "hook ms")
"""Medians of the way: answered, taken by the worker, committed, and the hook told."""
AT_REST = ("p50 ms", "p99 ms", "max ms", *STEPS)
BURST = ("ack p99 ms", "ack max ms", "acks/s", "drained/s", "all told after s", "told p50 s", "worker busy")


def run(*, quick: bool, rounds: int) -> list[Report]:
    rest = Report(f"callback to hook at rest, {SIZE // 1000} kB from a local origin", AT_REST, "p50 ms")
    count = 40 if quick else 200
    interleaved(
        rest,
        {
            "five a second": functools.partial(_at_rest, count, every=0.2),
            "one after the other": functools.partial(_at_rest, count, every=None),
        },
        rounds,
    )
    many = 1_000 if quick else 10_000
    burst = Report(f"{many:,} callbacks at once over {CONNECTIONS} connections", BURST, "drained/s")
    interleaved(
        burst,
        {
            "burst": functools.partial(_burst, burst.notes, many),
            "the same, queued beforehand": functools.partial(_beforehand, many),
        },
        rounds,
    )
    return [rest, burst]


def _at_rest(count: int, number: int, *, every: float | None) -> Figures:
    """`every`: seconds from one callback to the next; None: a while after the hook was told of the last."""
    with house(ROLES) as place:
        connection = Connection(place.port)
        # Connections, caches and scripts are warm.
        for n in range(10):
            _call_back(connection, place, f"warm{n}")
            _heard(place, f"warm{n}")
        sent: dict[str, tuple[float, float]] = {}
        pauses = random.Random(number)
        next_at = time.time()
        for n in range(count):
            id_ = f"rest{n}"
            sent[id_] = _call_back(connection, place, id_)
            if every is None:
                _heard(place, id_)
                # Never in step with anything that happens twice a second.
                next_at = time.time() + pauses.uniform(0.05, 0.25)
            else:
                next_at += every
            time.sleep(max(0.0, next_at - time.time()))
        for id_ in sent:
            _heard(place, id_)
        return _way(place, sent)


def _call_back(connection: Connection, place: House, id_: str) -> tuple[float, float]:
    """When it was sent, and when it was answered."""
    request = callbacks.requests([id_], place.port, place.output)[0]
    began = time.time()
    connection.send(request)
    while (status := connection.status()) is None:
        pass
    if status != 200:
        raise RuntimeError(f"{id_} was answered {status}")
    return began, time.time()


def _heard(place: House, id_: str) -> None:
    wait_until(lambda: id_ in place.told(), what=f"the hook is told of {id_}")


def _way(place: House, sent: dict[str, tuple[float, float]]) -> Figures:
    told = place.told()
    if missing := [id_ for id_ in sent if not told[id_][1]]:
        raise RuntimeError(f"the hook was told of {len(missing)} files that are not there")
    took = sorted(1000 * (told[id_][0] - began) for id_, (began, _) in sent.items())
    steps = [_steps(place, id_, *instants, told[id_][0]) for id_, instants in sent.items()]
    return {
        "p50 ms": median(took),
        "p99 ms": took[int(len(took) * 0.99)],
        "max ms": took[-1],
    } | {name: median(one[name] for one in steps) for name in STEPS}


def _steps(place: House, id_: str, began: float, answered: float, told: float) -> Figures:
    lines = place.server.client.lrange(f"{keys.TIMELINE}wavespeed:{id_}", 0, -1)
    at = {line["step"]: line["at"] for line in map(json.loads, lines)}
    # The ledger's own instants: whole milliseconds of the same machine's clock.
    return {
        "ack ms": 1000 * (answered - began),
        "lease ms": 1000 * (at["leased"] - at["accepted"]),
        "work ms": 1000 * (at["committed"] - at["leased"]),
        "hook ms": 1000 * (told - at["committed"]),
    }


def _burst(notes: list[str], count: int, number: int) -> Figures:
    with house(ROLES) as place:
        _warm(place)
        before, began = place.busy(), time.time()
        sent = _generated(place, count, "burst")
        acked, halves = time.time(), _halves(place) - 2 * WARM
        ended = _all_told(place, "burst", count)
        shares = {name: (after - before[name]) / (ended - began) for name, after in place.busy().items()}
        told = place.told()
    if sent["statuses"] != {"200": count}:
        raise RuntimeError(f"not all were accepted: {sent['statuses']}")
    cores = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    notes.append(f"round {number + 1}: of a core, until all were told: {cores}")
    return {
        "ack p99 ms": sent["p99_ms"],
        "ack max ms": sent["max_ms"],
        "acks/s": sent["per_second"],
        "drained/s": (count - halves / 2) / (ended - acked),
        "all told after s": ended - began,
        "told p50 s": median(at - began for id_, (at, _) in told.items() if id_.startswith("burst")),
        "worker busy": shares["work"],
    }


def _beforehand(count: int, _: int) -> Figures:
    """What a worker does of the same when nobody sends: from its first commit to the end."""

    def fill(server: Server, origin: int) -> None:
        filling.ours(server.url, filling.bodies(count, origin, "burst"))

    # With the sweeper: a delivery that its hook's gate has turned away is rung again by it.
    with house(("work", "sweep"), fill) as place:
        wait_until(lambda: _halves(place) > 0, timeout=PATIENCE)
        halves, cpu, began = _halves(place), place.running["work"].cpu(), time.time()
        ended = _all_told(place, "burst", count)
        busy = (place.running["work"].cpu() - cpu) / (time.time() - began)
    return {"drained/s": (count - halves / 2) / (ended - began), "worker busy": busy}


def _halves(place: House) -> int:
    """A prediction is two jobs: its file is kept, and its hook is told."""
    return int(place.server.client.zcard(keys.STAGE + "done")) + place.notes.read_bytes().count(b"\n")


def _warm(place: House) -> None:
    _generated(place, WARM, "warm")
    _all_told(place, "warm", WARM)


def _generated(place: House, count: int, prefix: str) -> dict[str, Any]:
    command = [PYTHON, "-m", "tests.bench.generator", "--port", str(place.port), "--count", str(count)]
    command += ["--connections", str(CONNECTIONS), "--prefix", prefix, "--output", place.output]
    return output_of(command, None)


def _all_told(place: House, prefix: str, count: int) -> float:
    """When the last was."""

    def instants() -> list[float]:
        return [at for id_, (at, there) in place.told().items() if id_.startswith(prefix) and there]

    def all_of_them() -> bool:
        # Counted first: whoever reads ten thousand lines fifty times a second is a part of the load.
        return place.notes.read_bytes().count(f"{prefix}0".encode()) >= count and len(instants()) >= count

    wait_until(all_of_them, timeout=PATIENCE, what="all are told")
    return max(instants())
