"""A collector of traces for tests: takes OTLP by HTTP, and keeps what it was sent; or it hangs."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL_AT_ONCE = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
"""Milliseconds: tests do not wait five seconds for a batch."""


@dataclass(frozen=True)
class Span:
    trace: str
    id: str
    parent: str
    """Empty for a root."""
    name: str
    kind: str
    role: str
    service: str
    said: dict[str, Any]
    failed: bool
    start: int
    end: int


@dataclass
class Collector:
    url: str = ""
    spans: list[Span] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    asked: int = 0
    hanging: threading.Event | None = None
    """While it is not set, nobody gets an answer."""

    def of(self, trace: str) -> list[Span]:
        return sorted((span for span in self.spans if span.trace == trace), key=lambda span: span.start)

    def variables(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, **ALL_AT_ONCE}

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        for of_one in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _values(of_one.resource.attributes)
            for scope in of_one.scope_spans:
                self.spans += [_span(sent, resource) for sent in scope.spans]


def _span(sent: Sent, resource: dict[str, Any]) -> Span:
    return Span(
        trace=sent.trace_id.hex(),
        id=sent.span_id.hex(),
        parent=sent.parent_span_id.hex(),
        name=sent.name,
        kind=Sent.SpanKind.Name(sent.kind).removeprefix("SPAN_KIND_").lower(),
        role=resource.get("catchlight.role", ""),
        service=resource["service.name"],
        said=_values(sent.attributes),
        failed=sent.status.code == Status.STATUS_CODE_ERROR,
        start=sent.start_time_unix_nano,
        end=sent.end_time_unix_nano,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting(*, hangs: bool = False) -> Iterator[Collector]:
    """On a free port of loopback."""
    collector = Collector(hanging=threading.Event() if hangs else None)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.asked += 1
            body = self.rfile.read(int(self.headers["content-length"]))
            if collector.hanging is not None:
                collector.hanging.wait(60)
                return
            collector.take(body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the name is the library's
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield collector
    finally:
        if collector.hanging is not None:
            collector.hanging.set()
        server.shutdown()
        server.server_close()
        thread.join()
