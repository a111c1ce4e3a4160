"""One prediction is one trace: from its callback to its delivery, whoever works on it, and however often."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from service import clock
from service.simulator import signature
from service.simulator.load import submit_direct
from service.simulator.simulator import DEMO_SECRET, SimulatorConfig
from service.tracing import identity
from tests import forged
from tests.collector import Collector, Span, collecting
from tests.stories.house import FLAKY_MODEL, HOOK_SECRET, STREAMED_MODEL, House
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "wavespeed"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def house(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    config = SimulatorConfig(delay=(0.1, 0.3), callback_retry_base=0.2, stall=2.0)
    folder = tmp_path_factory.mktemp("traced")
    settings = {"log_format": "json", "reconcile_every": "0"}
    with House(folder, settings, config, variables=collector.variables()) as house:
        yield house


def trace_of(id_: str) -> str:
    return f"{identity.of_prediction(f'{ACCOUNT}:{id_}'):032x}"


class Told:
    """The spans of one prediction, once as many deliveries as there were have come."""

    def __init__(self, collector: Collector, prediction: dict[str, Any], *, whole: bool = True) -> None:
        self.id = prediction["id"]
        sent = sum(delivery["attempts"] for delivery in prediction["deliveries"])

        def all_is_here() -> list[Span]:
            spans = collector.of(trace_of(self.id))
            delivered = [span for span in spans if "catchlight.delivery" in span.said]
            known = {span.id for span in spans}
            hangs = all(span.parent in known for span in spans if span.parent)
            return spans if len(delivered) >= sent and (hangs or not whole) else []

        self.spans = wait_until(all_is_here, 30, f"all of {self.id}: {collector.of(trace_of(self.id))}")

    def all(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Span:
        [found] = self.all(name)
        return found

    def below(self, span: Span) -> list[str]:
        return [one.name for one in self.spans if one.parent == span.id]


def test_a_callback_its_work_and_its_delivery_are_one_chain(house: House, collector: Collector) -> None:
    prediction = house.ended(house.submit("clean"))
    told = Told(collector, prediction)

    callback, queued = told.one("POST /webhooks/wavespeed"), told.one("send catchlight")
    process, event = told.one("process catchlight"), told.one("send prediction.completed")
    fetch, delivery = told.one("fetch"), told.one("POST sample")
    chain = [callback, queued, process, told.one("commit"), event, delivery]
    assert [span.parent for span in chain] == ["", *(span.id for span in chain[:-1])]
    assert [span.kind for span in chain] == [
        "server", "producer", "consumer", "internal", "producer", "client",
    ]  # fmt: skip
    assert [span.role for span in chain] == ["serve", "serve", *["work"] * 4]
    assert told.below(process) == ["judge", "fetch", "commit"]
    assert told.below(fetch) == ["store"]
    assert {span.service for span in told.spans} == {"catchlight"}
    assert not any(span.failed for span in told.spans)
    assert all(span.start <= span.end for span in told.spans)

    assert callback.said["http.response.status_code"] == 200
    assert callback.said["catchlight.outcome"] == "advanced", "it was submitted, and so it was awaited"
    for span, operation in ((queued, "send"), (process, "process")):
        assert span.said["messaging.system"] == "rq"
        assert span.said["messaging.destination.name"] == "catchlight"
        assert span.said["messaging.operation.type"] == operation
    assert fetch.said["http.response.body.size"] == prediction["outputs"][0]["bytes"]
    assert told.one("submit").parent == ""

    [line] = [line for line in house.world.sink.seen if line["prediction"] == prediction["id"]]
    assert line["traceparent"] == f"00-{delivery.trace}-{delivery.id}-01"


def test_a_stranger_does_not_choose_the_trace(house: House, collector: Collector) -> None:
    """A genuine callback, behind a header that nobody signed."""
    id_ = "pred_with_a_header"
    said = {
        "id": id_,
        "model": "acme/llm",
        "status": "completed",
        "outputs": ["a fox"],
        "has_nsfw_contents": [False],
    }
    body = json.dumps(said).encode()
    chosen = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    signed = signature.headers([DEMO_SECRET], "msg_1", int(clock.now()), body)
    assert house.client.post("/webhooks/wavespeed", content=body, headers=signed | chosen).status_code == 200
    told = Told(collector, house.ended(id_))
    assert told.one("POST /webhooks/wavespeed").parent == ""
    assert collector.of("4bf92f3577b34da6a3ce929d0e0e4736") == []


def test_every_try_of_a_fetch_and_of_a_delivery_is_a_span_of_the_same_trace(
    house: House, collector: Collector
) -> None:
    prediction = house.ended(house.submit("truncated", model=FLAKY_MODEL))
    told = Told(collector, prediction)

    queued = told.one("send catchlight")
    tries = told.all("process catchlight")
    assert [span.said["catchlight.attempt"] for span in tries] == [1, 2]
    assert {span.parent for span in tries} == {queued.id}
    assert [span.failed for span in told.all("fetch")] == [True, False]
    sent = told.all("POST flaky")
    assert [span.failed for span in sent] == [True] * (len(sent) - 1) + [False]
    assert {span.parent for span in sent} == {told.one("send prediction.completed").id}


def test_a_completion_that_a_poll_found_begins_with_the_poll(house: House, collector: Collector) -> None:
    told = Told(collector, house.ended(house.submit("lost")))
    poll = told.one("poll")
    assert (poll.parent, poll.role) == ("", "sweep")
    assert told.one("process catchlight").parent == told.one("send catchlight").id
    assert told.one("send catchlight").parent == poll.id
    assert told.all("POST /webhooks/wavespeed") == []


@pytest.mark.parametrize("step", ["fetch", "fetch --new-id", "deliver", "deliver --new-id"])
def test_a_replay_is_a_beginning_of_its_own_in_the_same_trace(
    house: House, collector: Collector, step: str
) -> None:
    id_ = house.ended(house.submit("clean"))["id"]
    if step == "fetch":
        asked = house.client.post(f"/api/v1/predictions/{id_}/replay", json={"from": step})
        assert asked.status_code == 202
    else:
        command = [sys.executable, "-m", "service.cli", "replay", id_, "--from", *step.split()]
        assert forged.run(command, env=house.environment, timeout=60).returncode == 0
    wait_until(lambda: len(house.heard(id_)) == 2, what="it is told again")
    wait_until(lambda: [one.name for one in collector.of(trace_of(id_))].count("POST sample") == 2)
    told = Told(collector, house.ended(id_))

    replay = told.one("replay")
    assert (replay.parent, replay.role) == ("", "serve" if step == "fetch" else "command")
    first, *again = told.all("process catchlight")
    assert [span.parent for span in again] == ([replay.id] if "fetch" in step else [])
    events = told.all("send prediction.completed")
    assert [span.parent for span in told.all("POST sample")] == [events[0].id, events[-1].id]
    assert len(events) == (2 if "--new-id" in step else 1)
    assert first.parent == told.one("send catchlight").id


def test_a_worker_that_dies_loses_its_own_spans_and_not_the_trace(house: House, collector: Collector) -> None:
    id_ = house.submit("slow")
    wait_until(lambda: house.show(id_).get("stage") == "working", what="the download began")
    house.kill("work")
    house.start("work")
    prediction = house.ended(id_, timeout=30)
    assert prediction["attempts"] == 2
    told = Told(collector, prediction, whole=False)
    assert told.one("process catchlight").said["catchlight.attempt"] == 2
    assert told.one("process catchlight").parent == told.one("send catchlight").id
    assert told.one("POST sample").parent == told.one("send prediction.completed").id


def test_a_prediction_that_only_the_providers_list_has_begins_with_it(
    house: House, collector: Collector
) -> None:
    inputs = {"prompt": "a fox", "simulate": "clean"}
    id_ = asyncio.run(submit_direct(house.world.provider, "stories/painter", inputs, None))
    wait_until(lambda: house.truth(id_)["status"] == "completed", what="it is finished at the provider")
    command = [sys.executable, "-m", "service.cli", "reconcile", "--since", "1h"]
    done = forged.run(command, env=house.environment, timeout=60)
    assert done.returncode == 0, done.stderr
    told = Told(collector, house.ended(id_))
    found = told.one("reconcile")
    assert (found.parent, found.role) == ("", "reconcile")
    assert told.one("send catchlight").parent == found.id


@pytest.mark.parametrize("scenario", ["forged", "duplicate"])
def test_callbacks_are_spans_when_they_are_genuine_and_send_when_they_are_news(
    house: House, collector: Collector, scenario: str
) -> None:
    id_ = house.ended(house.submit(scenario))["id"]

    def spans() -> list[Span]:
        return [span for span in collector.of(trace_of(id_)) if span.kind == "server"]

    def taken() -> int:
        return [one["status"] for one in house.truth(id_)["callbacks"]].count(200)

    wait_until(lambda: len(spans()) == taken(), what="each that was taken is a span")
    assert {span.said["catchlight.outcome"] for span in spans()} <= {"advanced", "known"}
    assert len(Told(collector, house.show(id_)).all("send catchlight")) == 1


def test_what_a_person_lets_pass_is_told_in_the_same_trace(house: House, collector: Collector) -> None:
    id_ = house.ended(house.submit("unknown"))["id"]
    assert house.client.post(f"/api/v1/review/{id_}/0/approve", json={"by": "ada"}).status_code == 202
    wait_until(lambda: house.heard(id_, "output.released"), what="it is told")
    told = Told(collector, house.ended(id_))
    _, review = told.all("process catchlight")
    assert review.parent == "", "a decision is no span"
    assert told.one("send output.released").parent in {span.id for span in told.all("commit")}


def test_a_delivery_to_a_stream_is_in_the_trace_too(house: House, collector: Collector) -> None:
    told = Told(collector, house.ended(house.submit("text", model=STREAMED_MODEL)))
    sent = told.one("send lake")
    assert (sent.kind, sent.said["messaging.system"]) == ("producer", "redis")
    assert sent.parent == told.one("send prediction.completed").id


def test_lines_of_the_log_name_the_trace_and_no_span_tells_a_secret(
    house: House, collector: Collector
) -> None:
    id_ = house.ended(house.submit("clean"))["id"]
    lines = [
        json.loads(line)
        for role in ("serve", "work")
        for line in house.log(role).splitlines()
        if line.startswith("{") and id_ in line
    ]
    assert {line["event"] for line in lines} >= {"callback", "prediction.committed", "delivery.attempted"}
    assert {line["trace_id"] for line in lines} == {trace_of(id_)}
    wait_until(lambda: len(collector.of(trace_of(id_))) >= 9)
    sent = b"".join(collector.bodies)
    for secret in (DEMO_SECRET, DEMO_SECRET.removeprefix("whsec_"), HOOK_SECRET, "Signature=", "/hook"):
        assert secret.encode() not in sent
