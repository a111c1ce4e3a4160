"""What each span is: its name, its kind, where it hangs, and what it says (OpenTelemetry's conventions).

Without traces every one of these is `OFF`. An id or a word of ours is under `catchlight.`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service import tracing
from service.ledger.arrival import digest, pack
from service.prediction import Verdict
from service.queues import QUEUE
from service.tracing import identity
from service.tracing.span import OFF

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.events import Event
    from service.hooks import Hook
    from service.ledger import Arrival, Commit, DeliveryRecord, PredictionRecord
    from service.prediction import Ref
    from service.tracing.live import Attributes, Tracer
    from service.tracing.span import Span

_QUEUE = {"messaging.system": "rq", "messaging.destination.name": QUEUE}
_SEND = {**_QUEUE, "messaging.operation.name": "send", "messaging.operation.type": "send"}
_PROCESS = {**_QUEUE, "messaging.operation.name": "process", "messaging.operation.type": "process"}
_FAILED = 500


def called_back(tracer: Tracer, ref: Ref, path: str, began: float) -> Span:
    """A callback whose signature holds; a stranger's makes no span."""
    if not (trace := tracer.kept(str(ref))):
        return OFF
    said = {**_who(ref), "http.request.method": "POST", "http.route": path, "url.path": path}
    return tracer.root(f"POST {path}", "server", int(trace, 16), said, began=began)


def answered(span: Span, status: int, outcome: str | None = None) -> None:
    """By us; 5xx is a failure, as of any server."""
    span.say("http.response.status_code", status)
    span.say("catchlight.outcome", outcome)
    if status >= _FAILED:
        span.fail(f"answered {status}")


def queued(tracer: Tracer, arrival: Arrival, outcome: str, began: float) -> None:
    """A completion went into the ledger, and its job into the queue: the work on it hangs below this."""
    said, ref = arrival.report, str(arrival.ref)
    if not tracer.is_open() or said is None or said.verdict is Verdict.PENDING:
        return
    if outcome not in ("new", "advanced"):
        return
    letters = pack(said.nsfw) if said.verdict is Verdict.COMPLETED else ""
    own = identity.of_acceptance(ref, said.verdict, digest(said.outputs), letters)
    told = {**_SEND, "catchlight.via": arrival.via}
    with tracer.child(f"send {QUEUE}", "producer", told, own=own, began=began):
        pass


def beginning(name: str, ref: Ref, began: float | None = None, kind: str = "internal") -> Span:
    """What moves a prediction without a callback: poll, reconcile, submit, replay, expire."""
    tracer = tracing.tracer()
    if tracer is None:
        return OFF
    return tracer.root(name, kind, identity.of_prediction(str(ref)), _who(ref), began=began)


def working(record: PredictionRecord) -> Span:
    """The work under one lease."""
    tracer = tracing.tracer()
    if tracer is None:
        return OFF
    ref = str(record.ref)
    trace, own = identity.of_prediction(ref), identity.of_lease(ref, record.token)
    said: Attributes = {
        **_PROCESS,
        **_who(record.ref),
        "catchlight.model": record.model,
        "catchlight.attempt": record.attempts,
        "catchlight.via": record.via,
    }
    if above := _above(record):
        return tracer.below(f"process {QUEUE}", "consumer", trace, above, said, own=own)
    return tracer.root(f"process {QUEUE}", "consumer", trace, said, own=own)


def _above(record: PredictionRecord) -> int:
    """What made this work; 0 where that left no span, as a person's decision does not."""
    if record.replay_span:
        return record.replay_span
    if record.was is not None or record.replaying or record.verdict is None:
        return 0
    letters = pack(record.nsfw) if record.verdict is Verdict.COMPLETED else ""
    return identity.of_acceptance(str(record.ref), record.verdict, record.digest, letters)


def alone(record: PredictionRecord) -> Span:
    """A suspect's own process, under its parent's lease."""
    tracer, ref = tracing.tracer(), str(record.ref)
    if tracer is None:
        return OFF
    lease = identity.of_lease(ref, record.token)
    return tracer.below("alone", "internal", identity.of_prediction(ref), lease, _who(record.ref))


def judging(index: int, nsfw: str) -> Span:
    return _step("judge", {"catchlight.output": index, "catchlight.nsfw": nsfw})


def fetching(index: int, url: str) -> Span:
    """An output, from its origin to where it is kept."""
    said: Attributes = {"catchlight.output": index, "http.request.method": "GET", "url.full": url}
    return _step("fetch", {**said, **_server(url)}, "client")


def fetched(span: Span, media_type: str | None, size: int | None, problem: str | None) -> None:
    span.say("catchlight.media_type", media_type)
    span.say("http.response.body.size", size)
    if problem:
        span.fail(problem)


def storing(index: int, *, held: bool) -> Span:
    return _step("store", {"catchlight.output": index, "catchlight.held": held})


def committing(commit: Commit) -> Span:
    said: Attributes = {
        "catchlight.stage": commit.to,
        "catchlight.reason": commit.reason,
        "catchlight.error": commit.error or None,
    }
    return _step("commit", said)


def told(record: PredictionRecord, events: Iterable[Event]) -> None:
    """Events stand in the outbox, and jobs in the queue for those hooks that want them.

    A replay that tells the same again has said so: its deliveries hang where those before them do.
    """
    if not record.replaying or record.tells_anew:
        for event in events:
            if event.hooks:
                sent(event.id, event.kind)


def sent(event_id: str, kind: str) -> None:
    """An event that was never told before."""
    if (tracer := tracing.tracer()) is not None:
        said: Attributes = {**_SEND, "catchlight.event": kind, "messaging.message.id": event_id}
        with tracer.child(f"send {kind}", "producer", said, own=identity.of_event(event_id)):
            pass


def delivering(delivery: DeliveryRecord, hook: Hook) -> Span:
    """One attempt. Of a hook's URL only the host: paths of webhooks are keys as often as not."""
    tracer = tracing.tracer()
    if tracer is None:
        return OFF
    ref, said = delivery.ref, dict(_of_attempt(delivery))
    trace = identity.of_prediction(str(ref)) if ref.source else identity.of_hook(delivery.event_id)
    above = identity.of_event(delivery.event_id)
    if hook.is_stream:
        said |= {"messaging.system": "redis", "messaging.destination.name": hook.stream}
        return tracer.below(f"send {hook.name}", "producer", trace, above, said)
    said |= {"http.request.method": "POST", "url.full": _origin(hook.url), **_server(hook.url)}
    return tracer.below(f"POST {hook.name}", "client", trace, above, said)


def attempted(span: Span, status: int | None, error: str, *, taken: bool) -> None:
    span.say("http.response.status_code", status)
    if not taken:
        span.say("error.type", str(status) if status else "no_answer")
        span.fail(error)


def _of_attempt(delivery: DeliveryRecord) -> Attributes:
    return {
        **(_who(delivery.ref) if delivery.ref.source else {}),
        "catchlight.hook": delivery.hook,
        "catchlight.event": delivery.event,
        "catchlight.delivery": delivery.id,
        "catchlight.attempt": delivery.attempts + 1,
        "messaging.message.id": delivery.event_id,
        "http.request.resend_count": delivery.attempts or None,
    }


def _step(name: str, attributes: Attributes, kind: str = "internal") -> Span:
    tracer = tracing.tracer()
    return OFF if tracer is None else tracer.child(name, kind, attributes)


def _who(ref: Ref) -> Mapping[str, str]:
    return {"catchlight.source": ref.source, "catchlight.prediction": ref.id}


def _server(url: str) -> Mapping[str, str | int | None]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return {}
    return {"server.address": host, "server.port": port}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"
