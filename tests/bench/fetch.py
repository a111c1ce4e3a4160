"""Downloads alone: ours, which is guarded, bounded and sniffed, against the loops that it is made of.

Each in a process of its own with a core to itself; the origin has the other.
"""

from __future__ import annotations

import functools

from tests.bench.contestants import PYTHON
from tests.bench.ingest import ONE
from tests.bench.processes import output_of
from tests.bench.report import Figures, Report, interleaved
from tests.bench.work import origin

FIGURES = ("MB/s", "CPU ms/MB", "core busy")
MB = 1_000_000
LARGE = 256 * 2**20
FIELD = {"Catchlight": "ours", "limit: httpx over aiohttp": "httpx", "limit: plain aiohttp": "aiohttp"}


def run(*, quick: bool, rounds: int) -> list[Report]:
    return [
        _report("1 MB outputs, 64 at once", MB, 500 if quick else 4_000, 64, rounds),
        _report("outputs of 256 MiB, one at a time", LARGE, 2 if quick else 6, 1, rounds),
    ]


def _report(what: str, size: int, count: int, at_once: int, rounds: int) -> Report:
    report = Report(f"downloads, one process, {what}", FIGURES, "MB/s")
    with origin(size, 0) as port:
        field = {name: functools.partial(_one, kind, port, count, at_once) for name, kind in FIELD.items()}
        interleaved(report, field, rounds)
    return report


def _one(kind: str, port: int, count: int, at_once: int, _: int) -> Figures:
    command = [PYTHON, "-m", "tests.bench.downloads", kind, str(port), str(count), str(at_once)]
    took = output_of(command, ONE)
    megabytes = took["bytes"] / 1e6
    return {
        "MB/s": megabytes / took["seconds"],
        "CPU ms/MB": 1000 * took["cpu"] / megabytes,
        "core busy": took["cpu"] / took["seconds"],
    }
