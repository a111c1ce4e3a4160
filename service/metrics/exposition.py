"""Prometheus' text format of what the ledger says: a custom collector over one reading, and nothing kept."""

from __future__ import annotations

import math
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from service import clock, queues
from service.ledger import Outcome
from service.ledger.counting import BYTES, OUTPUTS
from service.metrics.catalogue import METRICS, Kind
from service.metrics.gathering import BOUNDS, FULL, MORE, NOT_WRITTEN, STORAGE_FAILED, SUM
from service.prediction import TERMINAL, Disposition, Stage, Via
from service.refusals import RefusedFor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client import Metric as Family

    from service.ledger.measuring import Measured
    from service.metrics.catalogue import Metric

    Values = dict[tuple[str, ...], float]
    """Labels → value."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ROLES = ("serve", "work", "sweep")
_DRIFTED = "drifted"


def exposition(measured: Measured | None) -> bytes:
    """None: Redis did not answer, and that is told."""
    registry = CollectorRegistry()
    registry.register(_Reading(measured))
    return generate_latest(registry)


class _Reading(Collector):
    def __init__(self, measured: Measured | None) -> None:
        self._measured = measured

    def collect(self) -> Iterator[Family]:
        values: dict[str, Values] = {
            "catchlight_build_info": {(_version(),): 1},
            "catchlight_redis_up": {(): self._measured is not None},
        }
        if self._measured:
            values |= {f"catchlight_{name}": found for name, found in told(self._measured).items()}
            values |= _of_rq(self._measured)
        for metric in METRICS:
            if metric.gathered and self._measured:
                yield _histogram(metric, self._measured.gathered)
            elif metric.name in values:
                yield _family(metric, values[metric.name])


@cache
def _version() -> str:
    return version("catchlight")


def _family(metric: Metric, values: Values) -> Family:
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, gathered: Mapping[str, int]) -> Family:
    """Processes of several versions may have gathered into different buckets: all of them count."""
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    of = [key.split("|") for key in gathered if key.startswith(f"{metric.gathered}|")]
    for label in sorted({label for _, label, _ in of} or ({""} if not metric.labels else set())):
        found = {le: gathered[f"{metric.gathered}|{label}|{le}"] for _, other, le in of if other == label}
        bounds = {float(le) for le in found if le != SUM} | {*BOUNDS[metric.gathered], math.inf}
        buckets, total = [], 0
        for bound in sorted(bounds):
            name = MORE if math.isinf(bound) else f"{bound:g}"
            total += found.get(name, 0)
            buckets.append((name, total))
        family.add_metric([label] if metric.labels else [], buckets, found.get(SUM, 0) / 1e6)
    return family


def told(measured: Measured) -> dict[str, Values]:
    """Name without prefix → its values. What has not happened yet is 0: a first time is an increase too."""
    return _counters(measured) | _gauges(measured) | _of_hooks(measured) | _of_the_server(measured)


def _counters(measured: Measured) -> dict[str, Values]:
    tally, gathered = measured.tally, measured.gathered

    def by(prefix: str, words: Iterable[str]) -> Values:
        others = {name.removeprefix(prefix) for name in tally if name.startswith(prefix)}
        return {(word,): tally.get(prefix + word, 0) for word in [*words, *sorted(others - set(words))]}

    return {
        "callbacks_total": by("callbacks_", list(Outcome))
        | {(name.removeprefix("callbacks_"),): gathered.get(name, 0) for name in (FULL, NOT_WRITTEN)},
        "callbacks_refused_total": by("refused_", list(RefusedFor)),
        "completions_total": by("via_", list(Via)),
        "duplicates_total": {(): tally.get("duplicates", 0)},
        "predictions_ended_total": by("stage_", sorted(TERMINAL)),
        "outputs_total": by(OUTPUTS, list(Disposition)),
        "output_bytes_total": {(): tally.get(BYTES, 0)},
        "events_total": {(): tally.get("events", 0)},
        "delivery_attempts_total": {(): tally.get("delivery_attempts", 0)},
        "deliveries_total": by("deliveries_", ["delivered", "dead"]),
        "storage_failures_total": {(): gathered.get(STORAGE_FAILED, 0)},
    }


def _gauges(measured: Measured) -> dict[str, Values]:
    nearest = measured.scaling["nearest_deletion_seconds"]
    workers = [one.said for one in measured.roles if one.role == "work"]
    free = [said.free_bytes for said in workers if said.free_bytes is not None]
    alive = [one.role for one in measured.roles]
    return {
        "predictions": {(stage,): measured.stages.get(stage, 0) for stage in Stage},
        "oldest_due_seconds": {(stage,): seconds for stage, seconds in sorted(measured.oldest.items())},
        "backlog": {(): measured.scaling["backlog"]},
        "nearest_deletion_seconds": {(): math.inf if nearest is None else nearest},
        "review_waiting": {(): measured.review},
        "deliveries_due": {(): measured.scaling["deliveries_due"]},
        "roles": {(role,): alive.count(role) for role in _ROLES},
        "slots": {(): sum(said.slots or 0 for said in workers)},
        "jobs_aside": {(): measured.aside},
        "storage_troubled": {(): sum(bool(said.trouble) for said in workers)},
        "storage_free_bytes": {(): min(free, default=math.inf)},
        "reconciled_timestamp_seconds": {
            (one["source"],): clock.parse_rfc3339(one["at"]) or 0 for one in measured.drifts
        },
        "secret_drifted": {(one["source"],): one["state"] == _DRIFTED for one in measured.secrets},
    }


def _of_hooks(measured: Measured) -> dict[str, Values]:
    hooks = measured.hooks.items()
    return {
        "deliveries_parked": {(name,): hook.parked for name, hook in hooks},
        "hook_disabled": {(name,): hook.disabled for name, hook in hooks},
        "hook_failing_seconds": {(name,): hook.failing_seconds for name, hook in hooks},
    }


def _of_the_server(measured: Measured) -> dict[str, Values]:
    return {
        "redis_memory_bytes": {(): measured.memory["used"]},
        "redis_memory_limit_bytes": {(): measured.memory["most"] or math.inf},
        "redis_persists": {(): measured.persists},
        "redis_durable": {(): -1 if measured.durable is None else measured.durable},
    }


def _of_rq(measured: Measured) -> dict[str, Values]:
    """Workers by what they do: one process is like the other, and its name would be an id."""
    busy = [bool(one.said.in_flight) for one in measured.roles if one.role == "work"]
    return {
        "rq_jobs": {(queues.QUEUE, status): n for status, n in measured.jobs.items()},
        "rq_workers": {
            (queues.QUEUE, state, queues.QUEUE): busy.count(state == "busy") for state in ("busy", "idle")
        },
    }
