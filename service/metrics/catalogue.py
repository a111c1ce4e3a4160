"""Every metric by its name, what it counts, and the few words that its labels may be: none is an id."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from service.metrics.gathering import BOUNDS


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    gathered: str = ""
    """Of a histogram, its name in BOUNDS."""


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"catchlight_{name}_total", Kind.COUNTER, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"catchlight_{name}", Kind.GAUGE, meaning, labels)


def _histogram(gathered: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"catchlight_{gathered}_seconds", Kind.HISTOGRAM, meaning, labels, gathered)


METRICS = (
    _gauge("build_info", "1; the version that was asked", "version"),
    _gauge("redis_up", "1 when Redis answers; 0, and then no other metric is told"),
    _counter(
        "callbacks",
        "Callbacks with a right signature: `new`, `advanced`, `known`, `stale`, and those answered 503: "
        "`full`, `not_written`",
        "result",
    ),
    _counter("callbacks_refused", "Callbacks that were turned away", "reason"),
    _histogram("callback", "From a callback's headers to its answer"),
    _counter("completions", "Completions by how they came: others than `callback` were lost ones", "via"),
    _counter("duplicates", "Completions that told what was known"),
    _gauge("predictions", "Predictions that stand in this stage now", "stage"),
    _counter("predictions_ended", "Predictions that came to this end", "stage"),
    _gauge(
        "oldest_due_seconds",
        "For how long the oldest thing due has been waiting: predictions in three stages, and deliveries",
        "stage",
    ),
    _gauge("backlog", "Waiting, in flight, due: 0 means drained"),
    _gauge("nearest_deletion_seconds", "Until the provider deletes outputs that wait here; +Inf: none wait"),
    _counter("outputs", "Outputs that came to this disposition", "disposition"),
    _counter("output_bytes", "Bytes of outputs that were kept"),
    _histogram("fetch", "From an output's turn to its being kept, or to its failure", "result"),
    _gauge("review_waiting", "Predictions with a held output that nobody has decided about"),
    _counter("events", "Events written to the outbox"),
    _histogram("delivery", "One attempt to tell a hook", "hook"),
    _counter("delivery_attempts", "Attempts to tell hooks"),
    _counter("deliveries", "Deliveries that ended so", "state"),
    _gauge("deliveries_due", "Deliveries under way or due"),
    _gauge("deliveries_parked", "Deliveries that wait until their hook takes something", "hook"),
    _gauge("hook_disabled", "1 when the hook answered 410 or was disabled", "hook"),
    _gauge("hook_failing_seconds", "Since the first failure after the last success; 0: it works", "hook"),
    _gauge("roles", "Processes of this role that beat", "role"),
    _gauge("slots", "Jobs that all workers together may have in flight"),
    _gauge("jobs_aside", "Jobs that were set aside as unreadable or foreign, in the last week"),
    _gauge("storage_troubled", "Workers whose disk has no room, or whose storage fails"),
    _gauge("storage_free_bytes", "Free bytes of the fullest disk with outputs; +Inf: outputs go to no disk"),
    _counter("storage_failures", "Outputs that the storage did not take; each is tried again"),
    _gauge("redis_memory_bytes", "Memory that Redis uses"),
    _gauge("redis_memory_limit_bytes", "What it may use; above 80 % no new work is taken; +Inf: no limit"),
    _gauge("redis_persists", "1 when the last write of the append-only file succeeded"),
    _gauge(
        "redis_durable", "1 when its settings keep what is acknowledged, 0 when not; -1: not shown"
    ),
    _gauge("reconciled_timestamp_seconds", "When the provider's list was last compared", "source"),
    _gauge("secret_drifted", "1 when the provider signs with another secret than is set here", "source"),
    Metric(
        "rq_jobs", Kind.GAUGE, "Jobs of RQ, under its exporter's name", ("queue", "status")
    ),
    Metric(
        "rq_workers", Kind.GAUGE, "Worker processes, under RQ's exporter's name", ("name", "state", "queues")
    ),
)  # fmt: skip

assert {metric.gathered for metric in METRICS if metric.gathered} == set(BOUNDS)  # noqa: S101 - each is told
