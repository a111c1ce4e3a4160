"""Traces: from a callback to its delivery, through the queue, in whichever processes that happens.

Off, as it is without `OTEL_*`, nothing of OpenTelemetry is imported, and whoever would begin a span finds
None in its place. A role opens this once; what the spans are stands in `telling`.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from service import logs
from service.late_log import LateLog
from service.settings.telemetry import NO_COLLECTOR, telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from service.settings.telemetry import Telemetry
    from service.tracing.exporting import Exporting
    from service.tracing.live import Tracer

log = LateLog("traces")

FLUSH_MOST, FLUSH_LEAST = 2.0, 0.3
"""Seconds that a stop waits for the last spans: within what is left of the grace, and a moment beyond it."""


_TRY_FOR = 2.0


class _State:
    """Of this process: it has traces, or it has none."""

    tracer: Tracer | None = None
    exporting: Exporting | None = None
    until: float | None = None
    """When its grace is over, by the monotonic clock."""


def tracer() -> Tracer | None:
    return _State.tracer


@contextmanager
def opened(role: str) -> Iterator[None]:
    """Traces while the block lasts, when `OTEL_*` asks for them; what was said last is sent at its end."""
    _open(role)
    try:
        yield
    finally:
        _close()


def stopping(grace: float) -> None:
    """Asked to stop: `grace` seconds from now all is to be over, these spans too."""
    _State.until = time.monotonic() + grace


class Trouble(NamedTuple):
    why: str
    fix: str


def tried() -> Trouble | None:
    """Does the collector take a batch, an empty one? Blocks for two seconds at most; None is yes."""
    made = _made("doctor", telemetry()._replace(timeout=_TRY_FOR))
    if isinstance(made, Trouble):
        return made
    taken = made.takes()
    made.close(FLUSH_LEAST)
    return None if taken else Trouble("the collector does not take a batch", NO_COLLECTOR)


def _open(role: str) -> None:
    _State.until = None
    asked = telemetry()
    if not asked.traces and not asked.trouble:
        return
    made = _made(role, asked)
    if isinstance(made, Trouble):
        log.warning("traces.off", why=made.why, fix=made.fix)
    else:
        _State.exporting, _State.tracer = made, made.tracer
        logs.also(_with_trace)


def _made(role: str, asked: Telemetry) -> Exporting | Trouble:
    if asked.trouble:
        return Trouble(asked.trouble, "set it so, or OTEL_TRACES_EXPORTER=none")
    try:
        # With its libraries it is a fifth of a second, which those without traces do not pay.
        from service.tracing.exporting import Exporting  # noqa: PLC0415 - that is the whole point

        return Exporting(asked, role, version("catchlight"))
    except ImportError as error:
        lacking = error.name or "a library"
        fix = "pip install 'catchlight[otel]', or OTEL_TRACES_EXPORTER=none"
        return Trouble(f"OTEL_* asks for traces, and {lacking} is not installed", fix)
    except ValueError as error:
        return Trouble(f"an OTEL_* variable cannot be used: {error}", "correct it")


def _close() -> None:
    if exporting := _State.exporting:
        left = FLUSH_MOST if _State.until is None else _State.until - time.monotonic()
        exporting.close(min(max(left, FLUSH_LEAST), FLUSH_MOST))
        _State.exporting = _State.tracer = None


def _with_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A line that names a prediction names its trace, where there is one."""
    prediction = event.get("prediction")
    if prediction and (tracer := _State.tracer) and (trace := tracer.kept(prediction)):
        event["trace_id"] = trace
    return event
