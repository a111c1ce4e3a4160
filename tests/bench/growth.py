"""What grows with the ledger: every operation on a small one and on a large one, call by call in turn.

Round trips are those of a client on loopback, one fsync included where something is written; the time in
Redis is its own count (`INFO commandstats`), in which the disk has no part.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING

from tests.bench import ledgers
from tests.bench.operations import DUE, LIFE, READING, SWEEPING, SWEEPING_MUCH, Side, side
from tests.bench.processes import redis_server
from tests.bench.report import Figures, Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.operations import Operation
    from tests.bench.processes import Server

SMALL = (1_000, 100)
"""Ended, queued."""
FIGURES = ("small µs", "large µs", "large / small", "in Redis: small µs", "large µs ", "large / small ")
_MOST = 1.2

Timed = tuple[float, float]
"""Microseconds: the round trip, and the part of it in Redis."""


def run(*, quick: bool, rounds: int) -> list[Report]:
    large = (50_000, 5_000) if quick else (1_000_000, 100_000)
    title = f"{large[0]:,} ended + {large[1]:,} queued against {SMALL[0]:,} + {SMALL[1]}"
    report = Report(title, FIGURES, "")
    with redis_server(None) as one, redis_server(None) as other:
        for server, size in ((one, SMALL), (other, large)):
            began = time.monotonic()
            ledgers.fill(server, *size)
            memory = server.client.info("memory")["used_memory"] / 2**20
            per_one = 2**20 * memory / sum(size)
            report.notes.append(
                f"{size[0]:,} + {size[1]:,}: {memory:,.0f} MiB, {per_one:,.0f} bytes for each,"
                f" filled in {time.monotonic() - began:.0f} s"
            )
        asyncio.run(_measure(report, [(one, SMALL), (other, large)], 40 if quick else 60, rounds))
    report.notes += _too_much(report)
    return [report]


async def _measure(
    report: Report, servers: Sequence[tuple[Server, tuple[int, int]]], repetitions: int, rounds: int
) -> None:
    sides = [side(server, *size) for server, size in servers]
    few = max(repetitions // 4, 5)
    for operations, times in (((*LIFE, *READING, *SWEEPING), repetitions), (SWEEPING_MUCH, few)):
        if operations is SWEEPING_MUCH:
            for one in sides:
                # So many have to be there to be due.
                one.ask(one.calls.accept([f"x{n:08d}" for n in range(DUE)]))
        await _round(sides, operations, 5, first=0)
        for number in range(rounds):
            sys.stderr.write(f"round {number + 1} of {rounds}: {operations[0].name}, …\n")
            for name, took in (await _round(sides, operations, times, first=(number + 1) * times)).items():
                report.rounds[name].append(_figures(took))
    for one in sides:
        await one.ledger.aclose()
        one.worker.connection.close()


async def _round(
    sides: Sequence[Side], operations: Sequence[Operation], times: int, *, first: int
) -> dict[str, tuple[list[Timed], list[Timed]]]:
    """Operation → what it took on each side. Sides take turns at being first."""
    found: dict[str, tuple[list[Timed], list[Timed]]] = defaultdict(lambda: ([], []))
    for n in range(first, first + times):
        for operation in operations:
            for which in (0, 1) if n % 2 else (1, 0):
                found[operation.name][which].append(await _timed(operation, sides[which], n))
    return found


async def _timed(operation: Operation, one: Side, n: int) -> Timed:
    operation.before(one, n)
    in_redis, began = _in_redis(one), time.perf_counter()
    await operation.act(one, n)
    took, in_redis = time.perf_counter() - began, _in_redis(one) - in_redis
    operation.after(one, n)
    return 1e6 * took, in_redis


def _in_redis(one: Side) -> float:
    """Microseconds so far. What a script calls counts twice, on both sides."""
    said = one.client.info("commandstats")
    return float(sum(stats["usec"] for name, stats in said.items() if name != "cmdstat_info"))


def _figures(took: tuple[list[Timed], list[Timed]]) -> Figures:
    small, large = ([median(part) for part in zip(*one, strict=True)] for one in took)
    values = (small[0], large[0], large[0] / small[0], small[1], large[1], large[1] / max(small[1], 1.0))
    return dict(zip(FIGURES, values, strict=True))


def _too_much(report: Report) -> list[str]:
    return [
        f"more than {_MOST} times: {name}, {figure.strip()} {report.median(name, figure):.2f}"
        for name in report.rounds
        for figure in (FIGURES[2], FIGURES[5])
        if report.median(name, figure) > _MOST
    ]
