"""What `OTEL_*` asks for: the standard's own variables, so that a machine says once where traces go.

Only what decides whether there are traces is read here; all else of them the SDK reads itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPORT_TIMEOUT = 5.0
"""Seconds for one batch, unless a variable says otherwise: half of the standard's ten."""

NO_COLLECTOR = "is OTEL_EXPORTER_OTLP_ENDPOINT right, and its collector up? Nothing else waits for it"
"""What to do when it does not take what we send."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")


class Telemetry(NamedTuple):
    traces: bool = False
    trouble: str = ""
    """Why there are none although something asks for them."""
    timeout: float | None = None
    """Seconds; None is what the SDK reads."""
    named: bool = False
    """The variables name the service."""


def telemetry(environ: Mapping[str, str] | None = None) -> Telemetry:
    """From the process's own variables, unless others are given."""
    environ = os.environ if environ is None else environ
    if _word(environ, "OTEL_SDK_DISABLED") == "true":
        return Telemetry()
    exporter = _word(environ, "OTEL_TRACES_EXPORTER")
    if exporter == "none" or not (exporter or any(environ.get(name) for name in _ENDPOINTS)):
        return Telemetry()
    if exporter not in ("", "otlp"):
        return Telemetry(trouble=f"OTEL_TRACES_EXPORTER is {exporter!r}, and only otlp is spoken here")
    name = next((name for name in _PROTOCOLS if _word(environ, name)), _PROTOCOLS[1])
    if _word(environ, name) not in ("", "http/protobuf"):
        return Telemetry(trouble=f"{name} is {_word(environ, name)!r}, and only http/protobuf is spoken here")
    says_timeout = any(environ.get(name) for name in _TIMEOUTS)
    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Telemetry(traces=True, timeout=None if says_timeout else EXPORT_TIMEOUT, named=bool(named))


def _word(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip().lower()
