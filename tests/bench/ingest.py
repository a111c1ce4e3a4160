"""Callbacks in: verified, deduplicated, durable and queued before the answer, by one process on one core.

The server has a core to itself; Redis and the generator share the other.
"""

from __future__ import annotations

import functools
import json
import shutil
import socket
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from service import clock, keys, wavespeed
from service.embedded import free_port
from service.ledger import Arrival
from service.ledger.scripts import sources
from service.prediction import Ref, Step, Via
from tests.bench import callbacks, contestants
from tests.bench.contestants import PYTHON, ours
from tests.bench.processes import output_of, redis_server, started
from tests.bench.report import Figures, Report, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.bench.contestants import Peer
    from tests.bench.processes import Cores, Server

CONNECTIONS = 64
FIGURES = ("acks/s", "p50 ms", "p99 ms", "max ms", "CPU µs", "generator busy", "Redis busy")
ONE: Cores = frozenset({0})
OTHER: Cores = frozenset({1})


def run(*, quick: bool, rounds: int) -> list[Report]:
    count = 3_000 if quick else 20_000
    with redis_server(OTHER) as server:
        one = Report(f"ingest, one process, {CONNECTIONS} connections", FIGURES, "acks/s")
        field: dict[str, Callable[[int], Figures]] = {
            "Catchlight": functools.partial(_ours, server, count, ONE, 1),
            "naive: RQ in threads": functools.partial(_peer, server, count // 4, contestants.rq()),
        }
        for peer in contestants.peers():
            field[peer.name] = functools.partial(_peer, server, count, peer)
        interleaved(one, field, rounds)
        one.notes += _limits(server, count)
        several = Report(f"ingest, processes that share a port, {CONNECTIONS} connections", FIGURES, "acks/s")
        interleaved(
            several,
            {
                "two processes": functools.partial(_ours, server, count, None, 2),
                "one process": functools.partial(_ours, server, count, None, 1),
            },
            rounds,
        )
    return [one, several]


def _ours(server: Server, count: int, cores: Cores, processes: int, number: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [PYTHON, "-m", "service.cli", "serve", "--processes", str(processes)]
        environment = ours(server.url, folder, PORT=str(port))
        figures = measured(server, command, environment, cores=cores, port=port, count=count)
    accepted = server.client.zcard(keys.STAGE + "accepted")
    if accepted != count or server.client.llen("rq:queue:catchlight") != count:
        raise RuntimeError(f"round {number}: {accepted} of {count} were accepted")
    return figures


def _peer(server: Server, count: int, peer: Peer, _: int) -> Figures:
    port = free_port()
    command = [*peer.command, "serve", str(port)]
    environment = peer.environment(server.url)
    return measured(server, command, environment, cores=ONE, port=port, count=count)


def measured(
    server: Server,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    cores: Cores,
    port: int,
    count: int,
) -> Figures:
    server.empty()
    with started(command, environment, cores, lambda: answers(port)) as running:
        # Connections, caches and scripts are warm for everybody.
        _send(port, 500, "warm", cores)
        server.empty()
        cpu, redis_cpu = running.cpu(), server.running.cpu()
        sent = _send(port, count, "bench", cores)
        cpu, redis_cpu = running.cpu() - cpu, server.running.cpu() - redis_cpu
    if sent["statuses"] != {"200": count}:
        raise RuntimeError(f"{command}: not all were accepted: {sent['statuses']}")
    return {
        "acks/s": sent["per_second"],
        "p50 ms": sent["p50_ms"],
        "p99 ms": sent["p99_ms"],
        "max ms": sent["max_ms"],
        "CPU µs": 1e6 * cpu / count,
        "generator busy": sent["busy"],
        "Redis busy": redis_cpu / sent["seconds"],
    }


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _send(port: int, count: int, prefix: str, cores: Cores) -> dict[str, Any]:
    command = [PYTHON, "-m", "tests.bench.generator", "--port", str(port), "--count", str(count)]
    command += ["--connections", str(CONNECTIONS), "--prefix", prefix]
    return output_of(command, OTHER if cores == ONE else None)


def _limits(server: Server, count: int) -> list[str]:
    """What Redis takes of the same script from a client that does nothing else, one by one and in batches."""
    if shutil.which("redis-benchmark") is None:
        return ["redis-benchmark is not here: its limit was not measured"]
    sha = server.client.script_load(sources()["accept"])
    now = clock.now()
    # The tool writes a number of its own over each of these.
    id_ = "__rand_int__"
    report = wavespeed.report(json.loads(callbacks.body(id_)))
    ref = Ref(wavespeed.SOURCE, id_)
    arrival = Arrival(ref, Via.CALLBACK, Step.CALLED_BACK, report, detail=report.status).encoded(now)
    lines = []
    for batch in (1, 32):
        server.empty()
        arguments = ["", clock.rfc3339(now), str(batch), *[arrival.decode()] * batch]
        port = str(server.client.connection_pool.connection_kwargs["port"])
        clients = str(CONNECTIONS // batch)
        tool = ["redis-benchmark", "-p", port, "-n", str(count // batch), "-c", clients]
        command = [*tool, "-r", "1000000000", "--csv", "evalsha", str(sha), "0", *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        per_second = float(done.stdout.splitlines()[-1].split(",")[-7].strip('"')) * batch
        lines.append(f"limit: redis-benchmark, the same script with {batch} in each: {per_second:,.0f}/s")
    return lines
