"""Spans through OpenTelemetry's SDK: the only file, beside `exporting`, that imports it."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Self

from opentelemetry import context as contexts
from opentelemetry import trace as api
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service import logs
from service.tracing import identity
from service.tracing.span import OFF, Span

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

    Attributes = Mapping[str, str | float | None]

_NANO = 1_000_000_000
_KINDS = {kind.name.lower(): kind for kind in api.SpanKind}
_W3C = TraceContextTextMapPropagator()
_NOWHERE = contexts.Context()
_REMEMBERED = 4096


class Ids(RandomIdGenerator):
    """Random ones, but for the next span's where its ids are known beforehand."""

    def __init__(self) -> None:
        self._next = threading.local()

    def follow(self, trace: int, span: int) -> None:
        """For the next span of this thread; 0 is a random id."""
        self._next.ids = (trace, span)

    def generate_trace_id(self) -> int:
        return self._known()[0] or super().generate_trace_id()

    def generate_span_id(self) -> int:
        span = self._known()[1]
        self._next.ids = (0, 0)
        return span or super().generate_span_id()

    def is_trace_id_random(self) -> bool:
        """Ours is as good as random, and yet anybody can compute it."""
        return False

    def _known(self) -> tuple[int, int]:
        found: tuple[int, int] = getattr(self._next, "ids", (0, 0))
        return found


class Live(Span):
    """A span that is recorded, or not when the sampler leaves its trace out."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: api.Span) -> None:
        self._span = span
        self._token: object = None

    def __enter__(self) -> Self:
        self._token = contexts.attach(api.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        contexts.detach(self._token)  # type: ignore[arg-type]  # it is what `attach` gave
        if error is not None:
            # Its class alone: an error's text may quote a signed URL, and a traceback much more.
            self.say("error.type", type(error).__qualname__)
            if not isinstance(error, asyncio.CancelledError):
                self.fail(type(error).__qualname__)
        self._span.end()

    def say(self, name: str, value: str | float | None) -> None:
        if value is not None and self._span.is_recording():
            self._span.set_attribute(name, plain(value))

    def fail(self, why: str) -> None:
        self._span.set_status(api.StatusCode.ERROR, str(plain(why)))

    def id(self) -> int:
        return self._span.get_span_context().span_id

    def headers(self) -> Mapping[str, str]:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, api.set_span_in_context(self._span, _NOWHERE))
        return carrier


class Tracer:
    """Begins spans. Instants are seconds since the epoch; `began` None is now; an id of 0 is a random one."""

    def __init__(self, provider: TracerProvider, ids: Ids, version: str) -> None:
        self._tracer = provider.get_tracer("catchlight", version)
        self._sampler = provider.sampler
        self._ids = ids
        # Asked again by the next span, and by a line of the log.
        self.kept = functools.lru_cache(_REMEMBERED)(self._kept)

    def _kept(self, ref: str) -> str:
        """The trace of a prediction as it is written, if it is one that is kept; empty if it is not."""
        trace = identity.of_prediction(ref)
        return f"{trace:032x}" if self.samples(trace) else ""

    def samples(self, trace: int) -> bool:
        """Is that trace kept? What a process decides who begins it, everybody else decides as well."""
        decision = self._sampler.should_sample(_NOWHERE, trace, "").decision
        return decision is Decision.RECORD_AND_SAMPLE

    def is_open(self) -> bool:
        """Is there a span around us that is kept?"""
        return api.get_current_span().get_span_context().trace_flags.sampled

    def root(
        self, name: str, kind: str, trace: int, attributes: Attributes, *, own: int = 0,
        began: float | None = None,
    ) -> Live:  # fmt: skip
        """One that hangs below none."""
        self._ids.follow(trace, own)
        return self._begin(name, kind, _NOWHERE, attributes, began)

    def below(
        self, name: str, kind: str, trace: int, parent: int, attributes: Attributes, *, own: int = 0
    ) -> Live:
        """One that hangs below a span of another process, or of an earlier one."""
        flags = api.TraceFlags(api.TraceFlags.SAMPLED if self.samples(trace) else api.TraceFlags.DEFAULT)
        remote = api.SpanContext(trace, parent, is_remote=True, trace_flags=flags)
        above = api.set_span_in_context(api.NonRecordingSpan(remote), _NOWHERE)
        self._ids.follow(0, own)
        return self._begin(name, kind, above, attributes, None)

    def child(
        self, name: str, kind: str, attributes: Attributes, *, own: int = 0,
        began: float | None = None,
    ) -> Span:  # fmt: skip
        """Below the one that is open here. Where none is, or none that is kept, there is nothing to say."""
        if not self.is_open():
            return OFF
        self._ids.follow(0, own)
        return self._begin(name, kind, contexts.get_current(), attributes, began)

    def _begin(
        self,
        name: str,
        kind: str,
        above: Context,
        attributes: Attributes,
        began: float | None,
    ) -> Live:
        start = None if began is None else round(began * _NANO)
        told = {key: plain(value) for key, value in attributes.items() if value is not None}
        return Live(self._tracer.start_span(name, above, _KINDS[kind], told, start_time=start))


def plain(value: str | float) -> str | float:
    """As in a log line: short, printable, and no URL with its query or credentials."""
    return logs.shown(value) if isinstance(value, str) else value
