"""Every page of the dashboard over a ledger of 100,000: the milliseconds until a page is here.

One `catchlight serve` on loopback, one request at a time; the list at its beginning, in its middle, and
filtered. The bound is 150 ms.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import httpx

from service import embedded
from service.ledger import Ledger
from service.ledger.query import Query
from service.settings import load
from service.web.app import build
from tests.bench import callbacks, ledgers, variety
from tests.bench.contestants import PYTHON
from tests.bench.processes import redis_server, started
from tests.bench.report import Report
from tests.browser import addresses
from tests.builders import RETENTION
from tests.serving import SECRET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.processes import Server

MOST = 150.0
"""Milliseconds."""
SIZE = (100_000, 1_000)
"""Ended, queued."""
HELD, DEAD = 1_000, 300
FIGURES = ("ms", "kB")
_LISTS = ("/predictions", "/gallery")
_QUERIES = ("stage:done", f"model:{callbacks.MODEL}", "since:1h", "nsfw:flagged", "meta.order:4711")


def run(*, quick: bool, rounds: int) -> list[Report]:
    size = (5_000, 200) if quick else SIZE
    report = Report(f"pages over {size[0]:,} ended + {size[1]:,} queued", FIGURES, "")
    with redis_server(None) as redis, tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        ledgers.fill(redis, *size)
        asyncio.run(variety.add(redis.url, HELD, DEAD))
        report.notes.append(f"filled in {time.monotonic() - began:.0f} s")
        _measure(report, redis, Path(folder), repetitions=5 if quick else 20, rounds=rounds)
    slow = [(name, report.median(name, "ms")) for name in report.rounds]
    report.notes += [f"more than {MOST:g} ms: {name}, {ms:.0f}" for name, ms in slow if ms > MOST]
    return [report]


def _measure(report: Report, redis: Server, folder: Path, *, repetitions: int, rounds: int) -> None:
    port = embedded.free_port()
    base = f"http://127.0.0.1:{port}"
    environment = _environment(redis.url, folder, port)
    with (
        started([PYTHON, "-m", "service.cli", "serve"], environment, None, lambda: _ready(base)),
        httpx.Client(base_url=base, headers={"accept": "text/html"}, trust_env=False, timeout=60) as client,
    ):
        paths = asyncio.run(_paths(environment, redis.url))
        for number in range(rounds):
            sys.stderr.write(f"round {number + 1} of {rounds}\n")
            for path in paths:
                report.rounds[path].append(_timed(client, path, repetitions))


def _environment(redis_url: str, folder: Path, port: int) -> Mapping[str, str]:
    config = folder / "catchlight.toml"
    config.write_text(
        f'[[hooks]]\nname = "{ledgers.HOOK.name}"\nurl = "https://hook.example/"\nsecret = "whsec_c2VjcmV0"\n'
    )
    return {
        "CATCHLIGHT_CONFIG": str(config),
        "CATCHLIGHT_REDIS_URL": redis_url,
        "CATCHLIGHT_PORT": str(port),
        "CATCHLIGHT_WEBHOOK_SECRETS": SECRET,
        "CATCHLIGHT_PROVIDER_URL": "http://127.0.0.1:9/api/v3",
        "CATCHLIGHT_STORAGE_URL": (folder / "outputs").as_uri(),
    }


def _ready(base: str) -> bool:
    try:
        return httpx.get(f"{base}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _timed(client: httpx.Client, path: str, repetitions: int) -> dict[str, float]:
    took, size = [], 0
    for _ in range(repetitions):
        began = time.perf_counter()
        answer = client.get(path)
        took.append(1e3 * (time.perf_counter() - began))
        if answer.is_error:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        size = len(answer.content)
    return {"ms": median(took), "kB": size / 1e3}


async def _paths(environment: Mapping[str, str], redis_url: str) -> Sequence[str]:
    settings = load(environment)
    ledger = Ledger(redis_url, RETENTION)
    try:
        app = build(settings, redis_url)
        paths = await addresses.pages(app.routes, ledger, settings.hooks)
        _, cursor = await ledger.reading.page(Query(), 200, None)
    finally:
        await ledger.aclose()
    lists = [path for path in _LISTS if path in paths]
    filtered = [f"{path}?query={query}" for path in lists for query in _QUERIES]
    return [*paths, *filtered, *(f"{path}?cursor={cursor}" for path in lists)]
