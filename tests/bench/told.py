"""What it costs a receiver to say what it does: a line for each callback, and traces of all or of some."""

from __future__ import annotations

import functools
import tempfile
from typing import TYPE_CHECKING

from service.embedded import free_port
from tests.bench.contestants import PYTHON, ours
from tests.bench.ingest import FIGURES, ONE, OTHER, measured
from tests.bench.processes import redis_server
from tests.bench.report import Report, interleaved
from tests.collector import collecting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.bench.processes import Server
    from tests.bench.report import Figures

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def run(*, quick: bool, rounds: int) -> list[Report]:
    count = 3_000 if quick else 20_000
    report = Report("ingest, by what is told of it", FIGURES, "CPU µs")
    with redis_server(OTHER) as server, collecting() as collector:
        sampled = {ENDPOINT: collector.url, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
        ways: dict[str, Mapping[str, str]] = {
            "lines": {},
            "no lines": {"CATCHLIGHT_LOG_LEVEL": "warning"},
            "traces": {ENDPOINT: collector.url},
            "traces, a tenth": sampled | {"OTEL_TRACES_SAMPLER_ARG": "0.1"},
            "traces, a hundredth": sampled | {"OTEL_TRACES_SAMPLER_ARG": "0.01"},
            "traces, no collector": {ENDPOINT: f"http://127.0.0.1:{free_port()}"},
        }
        field: dict[str, Callable[[int], Figures]] = {
            name: functools.partial(_told, server, count, variables) for name, variables in ways.items()
        }
        interleaved(report, field, rounds)
    return [report]


def _told(server: Server, count: int, variables: Mapping[str, str], _: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        environment = {**ours(server.url, folder, PORT=str(port)), **variables}
        command = [PYTHON, "-m", "service.cli", "serve"]
        return measured(server, command, environment, cores=ONE, port=port, count=count)
