"""Logs: structlog on stderr, for people on a terminal, JSON elsewhere; one line stays one line, and short."""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import re
import sys
import threading
from typing import Any, Literal

import structlog

from service import clock

NOISY = ("httpx", "httpcore", "asyncio", "aiohttp.access", "uvicorn.access")
VALUE_MOST = 200
"""Characters of a value."""
_MOST = {"event": 1000, "exception": 20_000}

_CREDENTIALS = re.compile(r"(?<=://)[^\s/@\"'<>\\]+@")
_QUERY = re.compile(r"(\w://[^\s?\"'<>\\]+\?)[^\s\"'<>\\]+")


def configure(level: str, format_: Literal["auto", "console", "json"]) -> None:
    """Once per process. Libraries' own log records take the same way out."""
    to_people = format_ == "console" or (format_ == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False) if to_people else _stamp,
    ]
    ending: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        tidy,
        _renderer(to_people=to_people),
    ]
    # Not through the standard library: a line per callback would cost an eighth of all that a callback costs.
    structlog.configure(
        processors=[*shared, *ending],
        logger_factory=_Line,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # RQ logs every exception that its registry keeps, and that we have logged already.
    logging.getLogger("rq.worker").setLevel(logging.CRITICAL)


def also(processor: structlog.typing.Processor) -> None:
    """Let every line pass by it, as it is said; after `configure`, also for loggers that are in use."""
    structlog.get_config()["processors"].insert(1, processor)


class _Line:
    """Where structlog's lines end: whole, whoever else writes."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def info(self, line: str) -> None:
        """With what else is said in this turn of the loop: a system call costs more than a line."""
        if not _said:
            try:
                asyncio.get_running_loop().call_soon(_flush)
            except RuntimeError:
                # No loop here, as in a thread; nor one that would flush it.
                sys.stderr.write(f"{line}\n")
                return
        _said.append(line)

    debug = info

    def error(self, line: str) -> None:
        """At once, after all that was said before: what follows may be the end of the process."""
        _flush()
        sys.stderr.write(f"{line}\n")

    warning = critical = error


_said: list[str] = []
_flushing = threading.Lock()


def _flush() -> None:
    # Threads have warnings too, and may add to it meanwhile.
    with _flushing:
        if lines := _said.copy():
            del _said[: len(lines)]
            sys.stderr.write("\n".join([*lines, ""]))


atexit.register(_flush)


def _renderer(*, to_people: bool) -> structlog.typing.Processor:
    if not to_people:
        return _as_json
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        pad_event_to=24,
        # Its default shows the values of local variables, and secrets are among them.
        exception_formatter=structlog.dev.plain_traceback,
    )


def _stamp(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["timestamp"] = clock.rfc3339(clock.now())
    return event


_ENCODER = json.JSONEncoder()
"""Made once: `json.dumps` makes one for every line. `tidy` has left nothing that JSON has no word for."""


def _as_json(_: Any, __: str, event: structlog.typing.EventDict) -> str:
    return _ENCODER.encode(event)


def tidy(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A stranger's text becomes short and printable, and URLs lose their credentials and queries."""
    return {name: _tidied(name, value) for name, value in event.items()}


def shown(text: str) -> str:
    """As it would stand in a line."""
    return str(_tidied("", text))


def _tidied(name: str, value: Any) -> Any:
    if isinstance(value, str) and len(value) <= VALUE_MOST and value.isprintable() and "://" not in value:
        # As nearly all are.
        return value
    if value is None or isinstance(value, int | float):
        return value
    most = _MOST.get(name, VALUE_MOST)
    whole = value if isinstance(value, str) else str(value)
    # Cut before and after: what is dropped need not be searched, and a search is slower the longer its text.
    text = whole[: 2 * most]
    if "://" in text:
        text = _QUERY.sub(r"\1…", _CREDENTIALS.sub("…@", text))
    if len(text) > most or len(whole) > 2 * most:
        text = text[:most] + "…"
    if name == "exception" or text.isprintable():
        return text
    return "".join(map(_printable, text.rstrip("\n")))


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else repr(letter)[1:-1]
