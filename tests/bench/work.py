"""Jobs done: an output of 1 MB from an origin 50 ms away, hashed and durable on disk, by one process.

The worker has a core to itself; Redis and the origin share the other. A rate is taken from the moment when a
tenth is done to the end, so that nobody's start counts.
"""

from __future__ import annotations

import functools
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from service import keys, queues
from service.embedded import free_port
from tests.bench import contestants, filling
from tests.bench.contestants import PYTHON, ours
from tests.bench.folders import emptied_folder
from tests.bench.ingest import ONE, OTHER, answers
from tests.bench.processes import redis_server, started
from tests.bench.report import Figures, Report, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.bench.contestants import Peer
    from tests.bench.processes import Server

FIGURES = ("jobs/s", "CPU ms", "MB/s", "memory MiB", "Redis busy")
SIZE = 1_000_000
DELAY = 0.05
CONCURRENCY = 100
PATIENCE = 300.0
LOOK_EVERY = 0.02


def run(*, quick: bool, rounds: int) -> list[Report]:
    count = 400 if quick else 1_500
    title = f"work, one process, {SIZE // 1_000_000} MB outputs {DELAY * 1000:g} ms away"
    report = Report(title, FIGURES, "jobs/s")
    noop = Report("jobs that do nothing, one process", ("jobs/s", "CPU ms", "Redis busy"), "jobs/s")
    with redis_server(OTHER) as server, origin(SIZE, DELAY) as port:
        field: dict[str, Callable[[int], Figures]] = {
            "Catchlight": functools.partial(_ours, server, port, count),
            "limit: a bare loop": functools.partial(_limit, server, port, count),
            "rq worker": functools.partial(_peer, server, port, 20, contestants.rq(), "work"),
            "SimpleWorker": functools.partial(_peer, server, port, 100, contestants.rq(), "work-simple"),
        }
        for peer in contestants.peers():
            field[peer.name] = functools.partial(_peer, server, port, count, peer, "work")
        interleaved(report, field, rounds)
        nothings = functools.partial(_noop, server, 3_000 if quick else 15_000)
        interleaved(noop, {"Catchlight": nothings}, rounds)
    return [report, noop]


@contextmanager
def origin(size: int, delay: float) -> Iterator[int]:
    """Its port."""
    port = free_port()
    what = ["--bytes", str(size), "--delay", str(delay)]
    command = [PYTHON, "-m", "tests.bench.origin", "--port", str(port), *what]
    with started(command, {}, OTHER, lambda: answers(port)):
        yield port


def _ours(server: Server, port: int, count: int, _: int) -> Figures:
    server.empty()
    filling.ours(server.url, filling.bodies(count, port))
    with emptied_folder() as folder:
        environment = ours(server.url, folder, CONCURRENCY=str(CONCURRENCY))
        command = [PYTHON, "-m", "workers", "work"]
        figures = measured(server, command, environment, count, lambda: _done(server))
        files = sum(name.endswith(".png") for _, _, names in os.walk(folder) for name in names)
    if files != count:
        raise RuntimeError(f"{files} of {count} outputs are on disk")
    return figures


def _done(server: Server) -> int:
    return int(server.client.zcard(keys.STAGE + "done"))


def _peer(server: Server, port: int, count: int, peer: Peer, role: str, _: int) -> Figures:
    server.empty()
    filling.theirs(peer, server.url, filling.bodies(count, port))
    with emptied_folder() as folder:
        environment = peer.environment(server.url, folder)

        def kept() -> int:
            return sum(name.endswith(".jpg") for name in os.listdir(folder))  # noqa: PTH208 - names will do

        return measured(server, [*peer.command, role], environment, count, kept)


def _limit(server: Server, port: int, count: int, _: int) -> Figures:
    with emptied_folder() as folder:
        said = Path(folder) / "bodies"
        said.write_bytes(b"\n".join(filling.bodies(count, port)))
        out = Path(folder) / "out"
        out.mkdir()
        command = ["sh", "-c", f'exec "$0" -m tests.bench.limit "{out}" {CONCURRENCY} < "{said}"', PYTHON]
        return measured(server, command, {}, count, lambda: sum(1 for _ in out.glob("*/manifest.json")))


def _noop(server: Server, count: int, _: int) -> Figures:
    server.empty()
    filling.ours(server.url, filling.bodies(count, 9))
    started_registry = f"rq:wip:{queues.QUEUE}"

    def done() -> int:
        waiting = int(server.client.llen(f"rq:queue:{queues.QUEUE}"))
        return count - waiting - int(server.client.zcard(started_registry))

    return measured(server, [PYTHON, "-m", "tests.bench.noop", server.url], {}, count, done)


def measured(
    server: Server,
    command: Sequence[str],
    environment: Mapping[str, str],
    count: int,
    done: Callable[[], int],
) -> Figures:
    with started(command, environment, ONE) as running:
        first = _until(done, count // 10)
        began, cpu, redis_cpu = time.perf_counter(), running.cpu(), server.running.cpu()
        _until(running.checked(done), count)
        seconds = time.perf_counter() - began
        cpu, redis_cpu = running.cpu() - cpu, server.running.cpu() - redis_cpu
        memory = running.memory()
    jobs = count - first
    return {
        "jobs/s": jobs / seconds,
        "CPU ms": 1000 * cpu / jobs,
        "MB/s": jobs / seconds * SIZE / 1e6,
        "memory MiB": memory / 2**20,
        "Redis busy": redis_cpu / seconds,
    }


def _until(done: Callable[[], int], wanted: int) -> int:
    deadline = time.monotonic() + PATIENCE
    while (found := done()) < wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{found} of {wanted} after {PATIENCE:g} s")
        time.sleep(LOOK_EVERY)
    return found
