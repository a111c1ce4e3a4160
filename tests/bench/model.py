"""The cost model: what one prediction costs, as it was measured, worked out for so many a minute. Pure.

Linear in the rate: that is what the measurements on one machine support, and what `deploy/scaling.md` says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY = 86_400.0
IMAGE, SINGLE, LARGE = "1 MB, 1 hook", "ten a second", "10 MB"
"""Shapes of the measurement: many at once, one by one, and the same with ten times the bytes."""
LARGE_MB = 10
ONE_BY_ONE = 10.0
"""Predictions a second and Redis up to which each costs what one alone costs: batches are of one."""
FULL_AT = 0.6
"""Of a core: how busy a loop may be on average, so that a peak of half as much again finds room."""
REDIS_FULL_AT = 0.5
"""The same of a Redis, whose thread also waits for its disk: that is no CPU time, and not in the figures."""
PLACES = 64
"""CATCHLIGHT_CONCURRENCY."""
FIRST_BYTE, MB_A_SECOND = 0.5, 12.5
"""Assumed of an origin: seconds to its first byte, and 100 Mbit/s for each download."""
REDIS_GB = 64.0
"""Assumed of a Redis at the larger sizes; 65 % of it are used, above which `status` warns."""
USED_AT = 0.65
RETENTION, LEAST_RETENTION = 30.0, 7.0
"""Days: the default, and the least that can be set."""
FULL_FORM = 3600.0
"""Seconds before an ended prediction gets its compact form, CATCHLIGHT_COMPACT_AFTER."""
POLL_RATE = 20.0
"""A second, of one source."""
LOST = 0.01
"""Assumed: of callbacks."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Shape → figure → median, per prediction; `idle` per second of one process of each."""

    costs: Mapping[str, Mapping[str, float]]
    idle: Mapping[str, float]

    def cost(self, figure: str, per_second: float) -> float:
        """Of one prediction of 1 MB at that rate."""
        return self.costs[SINGLE if per_second <= ONE_BY_ONE else IMAGE][figure]

    @property
    def worker_ms_by_mb(self) -> float:
        """What each MB more costs a worker; never less than nothing, which only noise can say."""
        more = self.costs[LARGE]["worker ms"] - self.costs[IMAGE]["worker ms"]
        return max(0.0, more / (LARGE_MB - 1))


@dataclass(frozen=True, slots=True)
class Sized:
    """What a rate asks for. Cores are used ones, not those of the processes."""

    per_minute: float
    mb: float
    receivers: int
    workers: int
    redis: int
    """Primaries, and as many sweepers that lead."""
    cores: Mapping[str, float]
    in_flight: float
    redis_gb: float
    """At the default retention."""
    redis_gb_least: float
    """At the least retention."""
    network_gbit: float
    """Into the workers; with an object store as much goes out."""
    writes: float
    """Files or objects a second, manifests among them."""
    stored_tb: float
    """A day."""
    hook_calls: float
    fsyncs: float
    """A second, on each Redis."""
    log_mb: float
    """Of append-only log a second, all together."""
    polls: float
    """A second, when LOST of the callbacks never come."""
    sources: int
    """Among which the polls fit into POLL_RATE, and the load into the Redis."""

    @property
    def all_cores(self) -> float:
        return sum(self.cores.values())


def seconds_in_flight(mb: float) -> float:
    return FIRST_BYTE + mb / MB_A_SECOND


def sized(measured: Measured, per_minute: float, mb: float = 1.0) -> Sized:
    rate = per_minute / 60
    roles = {"receiver": "receiver ms", "worker": "worker ms", "sweeper": "sweeper ms", "redis": "redis ms"}

    def cores(role: str) -> float:
        more = measured.worker_ms_by_mb * (mb - 1) if role == "worker" else 0.0
        return max(0.0, rate * (measured.cost(roles[role], rate) + more) / 1000)

    gb = redis_gb(measured, per_minute, RETENTION)
    least = redis_gb(measured, per_minute, LEAST_RETENTION)
    kept = least if gb > REDIS_GB * USED_AT else gb
    redis = max(1, math.ceil(cores("redis") / REDIS_FULL_AT), math.ceil(kept / (REDIS_GB * USED_AT)))
    in_flight = rate * seconds_in_flight(mb)
    receivers = max(1, math.ceil(cores("receiver") / FULL_AT))
    workers = max(1, math.ceil(cores("worker") / FULL_AT), math.ceil(in_flight / (PLACES * FULL_AT)))
    processes = {"receiver": receivers, "worker": workers, "sweeper": redis, "redis": redis}
    polls = rate * LOST
    return Sized(
        per_minute=per_minute,
        mb=mb,
        receivers=receivers,
        workers=workers,
        redis=redis,
        cores={role: cores(role) + n * measured.idle[roles[role]] / 1000 for role, n in processes.items()},
        in_flight=in_flight,
        redis_gb=gb,
        redis_gb_least=least,
        network_gbit=rate * mb * 1e6 * 8 / 1e9,
        writes=rate * measured.cost("files", rate),
        stored_tb=rate * mb * 1e6 * DAY / 1e12,
        hook_calls=rate,
        fsyncs=rate / redis * measured.cost("fsyncs", rate / redis),
        log_mb=rate * measured.cost("aof bytes", rate) / 1e6,
        polls=polls,
        sources=max(1, redis, math.ceil(polls / POLL_RATE)),
    )


def redis_gb(measured: Measured, per_minute: float, days: float) -> float:
    """All that a ledger holds once as many go as come."""
    compact, full = measured.costs[IMAGE]["compact"], measured.costs[IMAGE]["memory"]
    rate = per_minute / 60
    return rate * (days * DAY * compact + FULL_FORM * max(0.0, full - compact)) / 1e9


@dataclass(frozen=True, slots=True)
class Limit:
    """What one of each carries at most, in predictions of 1 MB a minute, and how it shows."""

    what: str
    per_minute: float
    sign: str


def limits(measured: Measured) -> list[Limit]:
    """The lowest first."""
    busy = 1000 * ONE_BY_ONE  # beyond it many come at once

    def loop(figure: str) -> float:
        return 60 * 1000 * FULL_AT / measured.cost(figure, busy)

    def of_memory(gb: float, days: float) -> float:
        return gb * USED_AT / redis_gb(measured, 1.0, days)

    full, slow = "`CatchlightRedisFull`", "`CatchlightCallbacksSlow`"
    stuck = "`CatchlightStuck`, `oldest_due_seconds`"
    found = [
        Limit("1 GB of Redis, 30 days kept (compose.yaml)", of_memory(1.0, RETENTION), full),
        Limit("64 GB of Redis, 30 days kept", of_memory(REDIS_GB, RETENTION), full),
        Limit("64 GB of Redis, 7 days kept", of_memory(REDIS_GB, LEAST_RETENTION), full),
        Limit(
            "one worker, its 64 places",
            60 * PLACES * FULL_AT / seconds_in_flight(1.0),
            f"{stuck}; capacity: `concurrency`",
        ),
        Limit("one worker, its core", loop("worker ms"), f"{stuck}; capacity: `worker_cpu`"),
        Limit("one receiver, its core", loop("receiver ms"), f"{slow}; capacity: `receiver_cpu`"),
        Limit(
            "one Redis, its core: all that one source can have",
            loop("redis ms") * REDIS_FULL_AT / FULL_AT,
            f"{slow}; capacity: `redis_cpu`, `fsync`",
        ),
        Limit(
            "20 polls a second of one source, 1 % of callbacks lost",
            60 * POLL_RATE / LOST,
            "`CatchlightCallbacksLost`; capacity: `poll_rate`",
        ),
        Limit("1 Gbit/s into one machine", 60 * 1e9 / 8e6, f"{stuck}; capacity: `origin`, `concurrency`"),
    ]
    return sorted(found, key=lambda one: one.per_minute)
