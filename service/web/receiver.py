"""`POST /webhooks/{source}`: a callback is verified over its raw bytes and durable before it is answered.

The order of the checks is the contract's: what a stranger can make us do grows only with what he has proven.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import structlog

from service import clock, failpoints, tracing, wavespeed
from service.errors import LedgerDown, LedgerFull, Mismatched, Unparseable, Unverified
from service.ledger import Arrival
from service.ledger.callback_headers import CallbackHeaders
from service.ledger.refusals import SOURCE_MOST, RefusedCallback
from service.metrics.gathering import FULL, NOT_WRITTEN
from service.prediction import Ref, Step, Via
from service.refusals import RefusedFor
from service.tracing import telling
from service.web import body, problems
from service.web.problems import Closing, Problem, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from service.intake import Intake
    from service.ledger import Outcome
    from service.metrics.gathering import Gathering
    from service.sources import Source
    from service.tracing.live import Tracer
    from service.web.secret_watch import SecretWatch
    from service.web.turned_away import TurnedAway

log = structlog.get_logger("receiver")

_DETAIL_MOST = 200


class Told(NamedTuple):
    """Who is told what comes of callbacks; each writes it down beside the answers, not before them."""

    turned_away: TurnedAway
    watch: SecretWatch
    gathering: Gathering


class Receiver:
    """An ASGI endpoint of its own: the callback path does not pay for request objects."""

    def __init__(
        self,
        intake: Intake,
        sources: Sequence[Source],
        max_body: int,
        told: Told,
        *,
        body_deadline: float = body.DEADLINE,
    ) -> None:
        self._intake = intake
        self._at = {source.path: source for source in sources}
        self._max_body = max_body
        self._turned_away, self._watch, self._gathering = told
        self._body_deadline = body_deadline
        self._tracer = tracing.tracer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp
        began = time.perf_counter()
        try:
            source = self._source(scope)
            raw = await body.read(scope, receive, self._max_body, self._body_deadline)
            arrival = self._arrival(source, scope["headers"], raw)
            if self._tracer is None:
                answer = await self._accepted(arrival)
            else:
                answer = await self._traced(self._tracer, arrival, source, time.perf_counter() - began)
        except Refusal as refusal:
            answer = refusal.answer
            self._turned_away.note(_refused(self._label(scope), scope, refusal))
        except Exception:
            # The web edge: nothing of Starlette's stands around us.
            log.exception("callback.failed", source=self._label(scope))
            answer = problems.bug()
        await answer(scope, receive, send)
        self._gathering.observe("callback", time.perf_counter() - began)

    def _label(self, scope: Scope) -> str:
        """Of a source, its name; of none, the end of the path that a stranger wrote."""
        source = self._at.get(scope["path"])
        return source.name if source else str(scope["path_params"].get("source", scope["path"]))

    def _source(self, scope: Scope) -> Source:
        source = self._at.get(scope["path"])
        if source is None:
            raise Refusal(Problem(404, RefusedFor.UNKNOWN_SOURCE, "there is no such source"))
        if scope["method"] != "POST":
            raise Refusal(Problem(405, RefusedFor.METHOD, "callbacks are POSTs", {"Allow": "POST"}))
        for name, value in scope["headers"]:
            if name == b"content-encoding" and value.strip().lower() != b"identity":
                raise Refusal(Closing(415, RefusedFor.ENCODING, "send the body as it is"))
        return source

    def _arrival(self, source: Source, headers: Sequence[tuple[bytes, bytes]], raw: bytes) -> Arrival:
        try:
            verified = wavespeed.verify(headers, raw, source.secrets, clock.now())
        except Unverified as error:
            if isinstance(error, Mismatched):
                self._watch.mismatched(source.name)
            answer = Problem(401, RefusedFor.SIGNATURE, "the signature does not hold")
            raise Refusal(answer, str(error), len(raw)) from error
        self._watch.verified(source.name)
        try:
            report = wavespeed.parse(verified)
        except Unparseable as error:
            answer = Problem(400, RefusedFor.UNPARSEABLE, "this is no prediction")
            raise Refusal(answer, str(error), len(raw)) from error
        ref = Ref(source.name, report.id)
        if verified.stale:
            return Arrival(ref, Via.CALLBACK, Step.CALLED_BACK, detail="outside the tolerance", stale=True)
        detail = report.status[:_DETAIL_MOST]
        around = CallbackHeaders.of(verified.webhook_id, verified.timestamp, headers)
        return Arrival(ref, Via.CALLBACK, Step.CALLED_BACK, report, detail=detail, headers=around)

    async def _traced(
        self, tracer: Tracer, arrival: Arrival, source: Source, took: float
    ) -> _Taken | Problem:
        """Under a trace of ours, whatever `traceparent` the sender has: that is signed by nobody."""
        with telling.called_back(tracer, arrival.ref, source.path, clock.now() - took) as span:
            answer = await self._accepted(arrival)
            telling.answered(span, answer.status_code, getattr(answer, "outcome", None))
        return answer

    async def _accepted(self, arrival: Arrival) -> _Taken | Problem:
        try:
            outcome = await self._intake.accept(arrival)
        except LedgerDown as error:
            self._gathering.count(FULL if isinstance(error, LedgerFull) else NOT_WRITTEN)
            log.error("callback.not_written", prediction=str(arrival.ref), error=str(error))  # noqa: TRY400  # its sentence says it all
            return problems.redis_down("it could not be written; send it again")
        log.info("callback", prediction=str(arrival.ref), said=arrival.detail, outcome=outcome)
        await failpoints.reach("receiver.before_answer")
        return _Taken(arrival, outcome)


class _Taken:
    """The answer to what is durable: its id needs no escapes, and no response object is made for it."""

    def __init__(self, arrival: Arrival, outcome: Outcome) -> None:
        self.status_code = 202 if arrival.stale else 200
        self.outcome = outcome
        self._body = f'{{"id":"{arrival.ref.id}","outcome":"{outcome}"}}'.encode()

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        length = str(len(self._body)).encode()
        headers = [(b"content-length", length), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


def _refused(source: str, scope: Scope, refusal: Refusal) -> RefusedCallback:
    headers = scope["headers"]
    return RefusedCallback(
        at=clock.now(),
        source=source[:SOURCE_MOST],
        reason=RefusedFor(refusal.answer.reason),
        why=refusal.why,
        address=scope["client"][0] if scope.get("client") else None,
        size=body.announced(headers) if refusal.size is None else refusal.size,
        webhook_id=wavespeed.claimed_id(headers),
    )
