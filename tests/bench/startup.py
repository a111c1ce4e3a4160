"""How long a command takes to explain itself, and the receiver to be ready."""

from __future__ import annotations

import functools
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from service.embedded import free_port
from tests.bench.contestants import PYTHON, ours
from tests.bench.processes import ROOT, redis_server, started
from tests.bench.report import Figures, Report, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.processes import Server

TIMES = 10
CATCHLIGHT = str(Path(PYTHON).with_name("catchlight"))
LOOK_EVERY = 0.002


def run(*, quick: bool, rounds: int) -> list[Report]:
    times = 3 if quick else TIMES
    report = Report(f"start-up, medians of {times} starts", ("ms", "slowest ms"), "")
    with redis_server(None) as server:
        field = {
            "catchlight --help": functools.partial(_several, _help, server, times),
            "catchlight serve is ready": functools.partial(_several, _serve, server, times),
            "python -c pass": functools.partial(_several, _nothing, server, times),
        }
        interleaved(report, field, rounds)
    return [report]


def _several(act: Callable[[Server], float], server: Server, times: int, _: int) -> Figures:
    took = [1000 * act(server) for _ in range(times)]
    return {"ms": median(took), "slowest ms": max(took)}


def _help(_: Server) -> float:
    return _ended([CATCHLIGHT, "--help"])


def _nothing(_: Server) -> float:
    return _ended([PYTHON, "-c", "pass"])


def _ended(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _serve(server: Server) -> float:
    with tempfile.TemporaryDirectory() as folder:
        environment = ours(server.url, folder, PORT=str(free_port()))
        began = time.perf_counter()
        with started([CATCHLIGHT, "serve"], environment, None) as running:
            while "ready role=serve" not in running.said():
                running.check()
                time.sleep(LOOK_EVERY)
            return time.perf_counter() - began
