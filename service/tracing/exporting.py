"""The way out: spans wait in a bounded queue of the SDK's, and a thread of its own sends them by OTLP.

A collector that is down, slow or gone costs spans, and nothing else: the queue drops what it has no place
for, a batch has a few seconds, and a stop waits for the last of them no longer than it is told.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from service.settings.telemetry import NO_COLLECTOR
from service.tracing.live import Ids, Tracer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from service.settings.telemetry import Telemetry

log = structlog.get_logger("traces")

AGAIN_AFTER = 300.0
"""Seconds in which a collector that does not answer is a line in the log once."""

# They say of every batch what we say once, and of every span that finds no place.
_TALKATIVE = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal", "urllib3.connectionpool")


class _Exporter(SpanExporter):
    """OTLP's own, and a line when it fails."""

    def __init__(self, timeout: float | None) -> None:
        session = requests.Session()
        # As everywhere here, a proxy from the environment is none; nor is there a password in ~/.netrc.
        session.trust_env = False
        self._otlp = OTLPSpanExporter(timeout=timeout, session=session)
        self._said_at: float | None = None
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._otlp.export(spans)
        if spans and result is SpanExportResult.FAILURE:
            self._lost += len(spans)
            if self._said_at is None or time.monotonic() - self._said_at > AGAIN_AFTER:
                log.warning("traces.not_exported", spans=self._lost, fix=NO_COLLECTOR)
                self._said_at, self._lost = time.monotonic(), 0
        return result

    def shutdown(self) -> None:
        self._otlp.shutdown()  # type: ignore[no-untyped-call]  # its library's


class Exporting:
    """A tracer with all that stands behind it. Raises ValueError for variables that the SDK cannot use."""

    def __init__(self, telemetry: Telemetry, role: str, version: str) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        said = {"service.version": version, "catchlight.role": role}
        resource = Resource.create(said if telemetry.named else said | {"service.name": "catchlight"})
        ids = Ids()
        # Not at the exit of the interpreter: that would wait for half a minute.
        self._provider = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
        self._exporter = _Exporter(telemetry.timeout)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.tracer = Tracer(self._provider, ids, version)

    def takes(self) -> bool:
        """Does the collector take a batch?"""
        return self._exporter.export(()) is SpanExportResult.SUCCESS

    def close(self, patience: float) -> None:
        """Send what waits, for `patience` seconds at most."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces-close", daemon=True)
        closing.start()
        closing.join(patience)
