"""Traces: when there are any, what they never say, and what a collector can do to us, which is nothing."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from service import embedded, tracing
from service.ledger import Arrival, Commit, DeliveryRecord, PredictionRecord
from service.ledger.decisions import Ending
from service.prediction import Reason, Ref, Stage, Step, Verdict, Via
from service.settings.telemetry import EXPORT_TIMEOUT, Telemetry, telemetry
from service.tracing import identity, telling
from service.tracing.span import OFF
from tests.builders import hook
from tests.collector import ALL_AT_ONCE, Collector, collecting
from tests.house import ROOT
from tests.waiting import wait_until
from tests.workplace import workplace
from workers import polling

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
THERE = {ENDPOINT: "http://collector:4318"}
REF = Ref("wavespeed", "pred_1")
RECORD = PredictionRecord(
    REF, Stage.WORKING, token="3", verdict=Verdict.COMPLETED, via=Via.CALLBACK, attempts=1
)
NAMES = ("process catchlight", "alone", "judge")
DELIVERY = DeliveryRecord("dlv_1", REF, "evt_1", "prediction.completed", "crm", "pending")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ALL_AT_ONCE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        yield collector


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        (THERE, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_SERVICE_NAME": "catchlight"}, False),
        (THERE | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (THERE | {"OTEL_TRACES_EXPORTER": " OTLP "}, True),
        (THERE | {"OTEL_SDK_DISABLED": "TRUE"}, False),
        (THERE | {"OTEL_SDK_DISABLED": "false"}, True),
        (THERE | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_traces_are_on_when_the_standard_variables_say_so(variables: dict[str, str], on: bool) -> None:
    found = telemetry(variables)
    assert (found.traces, found.trouble) == (on, "")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER is 'console'"),
        (THERE | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"),
        (THERE | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
    ],
)
def test_what_is_asked_for_and_not_spoken_is_named(
    variables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with capture_logs() as lines, tracing.opened("work"):
        assert tracing.tracer() is None
    assert [(line["event"], line["log_level"]) for line in lines] == [("traces.off", "warning")]
    assert named in lines[0]["why"]


def test_a_batch_has_less_time_than_the_standard_gives_it_unless_somebody_says_so() -> None:
    assert telemetry(THERE).timeout == EXPORT_TIMEOUT < 10
    assert telemetry(THERE | {"OTEL_EXPORTER_OTLP_TIMEOUT": "20"}).timeout is None
    assert telemetry(THERE | {"OTEL_SERVICE_NAME": "mine"}) == Telemetry(True, "", EXPORT_TIMEOUT, named=True)


def test_a_variable_that_the_sdk_refuses_is_a_warning(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with capture_logs() as lines, tracing.opened("work"):
        assert telling.working(RECORD) is OFF
    assert [line["event"] for line in lines] == ["traces.off"]
    assert "queue" in lines[0]["why"]


def test_without_the_extra_one_line_says_what_to_install_and_all_goes_on() -> None:
    program = (
        "import sys\nsys.modules['opentelemetry'] = None\n"
        "from service import logs, tracing\nlogs.configure('info', 'json')\n"
        "with tracing.opened('work'): print(tracing.tracer())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=THERE, cwd=ROOT,
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stdout == "None\n"
    [line] = done.stderr.splitlines()
    assert "pip install 'catchlight[otel]'" in line
    assert '"level": "warning"' in line


def test_every_process_computes_the_same_ids_and_no_two_things_have_one() -> None:
    # As they were in the first version: another would tear a trace apart in a rolling upgrade.
    assert f"{identity.of_prediction('wavespeed:pred_1'):032x}" == "65a090fab7577d9700f784f23e15ce39"
    assert f"{identity.of_event('evt_1'):016x}" == "c61ac4d53f352331"
    lease = [identity.of_lease("a:b", "1"), identity.of_lease("a:b", "2"), identity.of_lease("a:c", "1")]
    said = [identity.of_acceptance("a:b", "completed", "d", letters) for letters in ("c", "f", "")]
    assert len({*lease, *said, identity.of_event("a:b")}) == 7


@pytest.mark.parametrize(
    ("record", "parent"),
    [
        (RECORD, identity.of_acceptance(str(REF), "completed", "", "")),
        (replace(RECORD, verdict=Verdict.FAILED), identity.of_acceptance(str(REF), "failed", "", "")),
        (replace(RECORD, via=Via.REPLAY, replay_span=7), 7),
        (replace(RECORD, via=Via.REPLAY), 0),
        (replace(RECORD, was=Ending(Stage.DONE, None, "", 1.0)), 0),
    ],
    ids=["completion", "failure", "replay", "replay by a process without traces", "review"],
)
def test_work_hangs_below_what_made_it(collector: Collector, record: PredictionRecord, parent: int) -> None:
    with tracing.opened("work"), telling.working(record):
        pass
    [span] = collector.spans
    assert span.parent == (f"{parent:016x}" if parent else "")


@pytest.mark.anyio
async def test_what_is_given_up_says_so_and_its_hooks_hang_below(
    collector: Collector, redis_url: str, tmp_path: Path
) -> None:
    async with workplace(redis_url, tmp_path) as place:
        await place.intake.accept(Arrival(REF, Via.TRACK, Step.TRACKED))
        with tracing.opened("sweep"):
            await polling.expire(place.settings, place.ledger, REF, Reason.DEADLINE)
    expire, event = sorted(collector.spans, key=lambda span: span.start)
    assert (expire.name, expire.parent, expire.said["catchlight.reason"]) == ("expire", "", "deadline")
    assert (event.name, event.parent) == ("send prediction.expired", expire.id)


def test_a_suspects_own_process_works_below_its_parents_lease(collector: Collector) -> None:
    with tracing.opened("work"), telling.working(RECORD), tracing_of_a_child():
        pass
    lease, child, judge = (next(one for one in collector.spans if one.name == name) for name in NAMES)
    assert (child.parent, judge.parent) == (lease.id, child.id)
    assert {lease.trace, child.trace, judge.trace} == {f"{identity.of_prediction(str(REF)):032x}"}


@contextmanager
def tracing_of_a_child() -> Iterator[None]:
    """As of a process that has nothing of its parent's but the record."""

    def work() -> None:
        with telling.alone(RECORD), telling.judging(0, "clean"):
            pass

    contextvars.Context().run(work)
    yield


@pytest.mark.parametrize(
    ("text", "span", "anew"),
    [
        ("1", 0, False),
        ("1n", 0, True),
        ("", 0, False),
        ("not hexadecimal!", 0, False),
        ("00f067aa0ba902b7x", 0, False),
        ("00f067aa0ba902b7", 0xF067AA0BA902B7, False),
        ("00f067aa0ba902b7n", 0xF067AA0BA902B7, True),
    ],
)
def test_the_mark_of_a_replay_may_be_a_span(text: str, span: int, anew: bool) -> None:
    record = PredictionRecord.load({"redeliver": text})
    assert (record.replay_span, record.tells_anew) == (span, anew)


def test_a_span_tells_no_query_no_password_and_of_an_error_its_class_alone(collector: Collector) -> None:
    secret = "hunter2"
    with tracing.opened("work"), telling.working(RECORD):
        with telling.fetching(0, f"https://u:{secret}@cdn.example/a.png?Signature={secret}") as span:
            telling.fetched(span, None, None, f"no answer from https://cdn.example/a?token={secret}")
        with pytest.raises(ValueError, match=secret), telling.storing(0, held=False):
            raise ValueError(f"https://cdn.example?{secret}")
        with telling.committing(Commit(Stage.ACCEPTED, error=f"https://cdn.example?{secret}")):
            pass
        for kind in (f"https://hook.example/{secret}?{secret}", f"https://:{secret}@hook.example:8443/"):
            with telling.delivering(DELIVERY, hook(url=kind)):
                pass
    assert secret.encode() not in b"".join(collector.bodies)
    by_name = {span.name: span for span in collector.spans}
    assert by_name["fetch"].said["url.full"] == "https://…@cdn.example/a.png?…"
    assert by_name["fetch"].failed
    assert by_name["store"].said["error.type"] == "ValueError"
    assert {span.said["server.address"] for span in collector.spans if "catchlight.hook" in span.said} == {
        "hook.example"
    }


def test_work_that_is_stopped_is_no_failure(collector: Collector) -> None:
    with tracing.opened("work"), pytest.raises(asyncio.CancelledError), telling.working(RECORD):
        raise asyncio.CancelledError
    [span] = collector.spans
    assert (span.failed, span.said["error.type"]) == (False, "CancelledError")


@pytest.mark.parametrize("sampler", ["parentbased_traceidratio", "traceidratio"])
def test_the_sampler_decides_alike_for_every_span_of_a_trace(
    collector: Collector, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    headers, whose = [], [Ref("wavespeed", f"pred_{n}") for n in range(40)]
    with tracing.opened("work"):
        for ref in whose:
            work = PredictionRecord(ref, Stage.WORKING, verdict=Verdict.COMPLETED)
            with telling.working(work), telling.judging(0, "clean"):
                pass
            with telling.delivering(DeliveryRecord("d", ref, "e", "k", "crm", "pending"), hook()) as span:
                headers.append(dict(span.headers())["traceparent"])
    traces = {span.trace for span in collector.spans}
    assert 5 < len(traces) < 35
    assert len(collector.spans) == 3 * len(traces), "all of a trace, or nothing"
    assert {line.split("-")[1] for line in headers if line.endswith("-01")} == traces
    assert sum(line.endswith("-00") for line in headers) == len(whose) - len(traces)


def test_a_line_names_its_trace_when_that_is_kept(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = f"{identity.of_prediction(str(REF)):032x}"
    with tracing.opened("work"):
        assert tracing._with_trace(None, "", {"prediction": str(REF)})["trace_id"] == trace
        assert "trace_id" not in tracing._with_trace(None, "", {"event": "ready"})
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with tracing.opened("work"):
        assert "trace_id" not in tracing._with_trace(None, "", {"prediction": str(REF)})


def test_the_service_is_named_as_the_variables_say(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "pictures")
    with tracing.opened("sweep"), telling.beginning("poll", REF):
        pass
    assert [(span.service, span.role) for span in collector.spans] == [("pictures", "sweep")]


def many(n: int) -> float:
    """Begin and end so many spans; seconds for all of them."""
    began = time.monotonic()
    for _ in range(n):
        with telling.working(RECORD):
            pass
    return time.monotonic() - began


def test_a_collector_that_is_down_costs_one_line_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{embedded.free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    with capture_logs() as lines, tracing.opened("work"):
        # Would each wait for the collector, they took a quarter of an hour.
        assert many(2_000) < 30
        wait_until(lambda: lines, what="it is said")
        tracing.stopping(10.0)
        began = time.monotonic()
    assert time.monotonic() - began < tracing.FLUSH_MOST + 5
    assert [line["event"] for line in lines] == ["traces.not_exported"]
    assert lines[0]["fix"]


@pytest.mark.parametrize(("grace", "most"), [(10.0, tracing.FLUSH_MOST), (0.0, tracing.FLUSH_LEAST)])
def test_a_collector_that_hangs_holds_up_no_span_and_no_stop(
    grace: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting(hangs=True) as silent:
        monkeypatch.setenv(ENDPOINT, silent.url)
        with tracing.opened("work"):
            # More than the queue holds: what has no place is dropped, and nobody waits for a place.
            assert many(6_000) < 30
            wait_until(lambda: silent.asked, what="it was asked")
            tracing.stopping(grace)
            began = time.monotonic()
        assert time.monotonic() - began < most + 5


def test_what_was_said_last_is_sent_at_a_stop(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    with tracing.opened("work"):
        many(3)
        assert collector.spans == []
    assert len(collector.spans) == 3


def loaded(program: str) -> set[str]:
    """Modules of traces that it loads."""
    command = [sys.executable, "-X", "importtime", "-c", program]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stderr
    names = {line.rpartition("|")[2].strip() for line in told.splitlines()}
    assert "redis.asyncio" in names
    return {name for name in names if name.startswith(("opentelemetry", "google.protobuf", "requests"))}


def test_without_the_variables_no_role_loads_any_of_it() -> None:
    """redis-py looks for metrics of OpenTelemetry by itself, wherever they are installed."""
    roles = "from service import tracing\nimport workers.roles, service.web.server\n"
    opened = f"{roles}with tracing.opened('work'): pass"
    assert loaded(opened) <= loaded("import redis.asyncio")
    assert "requests" in loaded(f"import os\nos.environ['{ENDPOINT}'] = 'http://127.0.0.1:9'\n{opened}")
