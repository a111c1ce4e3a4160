"""uvicorn, and what it leaves to its users: deadlines for headers, a bound socket, exit 0 after a drain."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service import failpoints, garbage, logs, tracing
from service.errors import ConfigError
from service.ledger import Ledger
from service.web import headers
from service.web.app import build
from service.web.body import BODY_IS_HERE
from service.web.joined import Joined
from service.web.problems import Problem
from service.web.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.types import ASGIApp

    from service.settings import Settings

BACKLOG = 2048
CONNECTIONS_MOST = 4096
KEEP_ALIVE = 75
"""Seconds: longer than proxies usually keep a connection, lest one sends into one that we are closing."""


def _not_http() -> bytes:
    problem = Problem(400, "not_http", "this is no HTTP request", {"Connection": "close"})
    told = [b": ".join(pair) for pair in (*problem.raw_headers, *headers.FOR_DATA)]
    return b"\r\n".join([b"HTTP/1.1 400 Bad Request", *told, b"", bytes(problem.body)])


_NOT_HTTP = _not_http()


class DeadlineProtocol(HttpToolsProtocol):
    """httptools, as h11 takes what request smuggling is made of; and nothing around a body drips or grows
    for ever: no header, no chunk's extension, no trailer, no white space between two requests.
    """

    header_deadline = 10.0
    """Seconds from the first byte of a request, or from the connection's start, to the end of its headers."""
    header_most = 65_536
    answer_deadline = 15.0
    """Seconds in which what was answered is taken; whoever does not read holds a connection for nothing."""
    connections_most = CONNECTIONS_MOST
    pipeline_most = 32
    """Requests that one connection may have sent while an earlier one of it is not yet answered."""

    _deadline: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None
    _length = 0
    """Bytes since the last that led anywhere: to a request's beginning, a header's end, a piece of a body."""
    _led_somewhere = False
    _in_header = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
        super().connection_made(Joined(transport, self.loop))  # type: ignore[arg-type]  # all that it uses
        if len(self.connections) > self.connections_most:
            transport.abort()
        else:
            # So that we hear of every byte that is not taken, and not of the sixty-fifth thousand only.
            transport.set_write_buffer_limits(high=0)
            self._arm()

    def data_received(self, data: bytes) -> None:
        self._led_somewhere = False
        super().data_received(data)
        self._length = 0 if self._led_somewhere else self._length + len(data)
        if self._length > self.header_most:
            self.transport.close()
        elif self._in_header or (not self._led_somewhere and self._at_rest):
            # Either a header whose end is still to come, as only few are; or not even the beginning of a
            # request, and yet it ended uvicorn's wait for one.
            self._arm()

    @property
    def _at_rest(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # uvicorn's own type

    def on_message_begin(self) -> None:
        self._led_somewhere = self._in_header = True
        if len(self.pipeline) >= self.pipeline_most:
            # A quarter of a megabyte holds ten thousand: seconds of parsing, and all of them kept.
            raise httptools.HttpParserError("too many requests before an answer")
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_header:
            # uvicorn would put it among the headers: behind a proxy's back, and without a limit.
            raise httptools.HttpParserError("a trailer")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._led_somewhere = True
        self._in_header = False
        self._disarm()
        # The parser takes what follows an offer to upgrade for another protocol, whatever we answer.
        upgrading = self.parser.should_upgrade()
        if upgrading and _announces_a_body(self.headers):
            raise httptools.HttpParserError("an offer to upgrade with a body, which would be lost")
        super().on_headers_complete()
        if upgrading:
            self.cycle.keep_alive = False
        cycle = self.cycle
        self.scope[BODY_IS_HERE] = lambda: not cycle.more_body  # type: ignore[literal-required]  # ours

    def _unsupported_upgrade_warning(self) -> None:
        """To be offered more than HTTP/1.1 is no cause for a warning, nor uvicorn's advice any for us."""

    def on_body(self, body: bytes) -> None:
        self._led_somewhere = True
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            # Of a body that nobody wants the rest is still to come.
            self._arm()

    def send_400_response(self, _: str) -> None:
        """What uvicorn cannot read never comes to the application, and gets the same kind of answer."""
        self.transport.write(_NOT_HTTP)
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        # Not close(), which would wait for him to read.
        self._untaken = self.loop.call_later(self.answer_deadline, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._taken()
        super().connection_lost(exc)

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.header_deadline, self.transport.close)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None


def _announces_a_body(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and int(value)) for name, value in headers
    )


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stderr.write("ready role=serve\n")
        sys.stderr.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        tracing.stopping(self.config.timeout_graceful_shutdown or 0.0)
        # Pages listen for as long as they are looked at; a drain would wait for them.
        self.config.app.state.live.close()  # type: ignore[union-attr]  # it is what `build` made
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """After its drain uvicorn would raise the signal again; a drained role exits with 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def run(settings: Settings, redis_url: str | None, *, reuse_port: bool = False) -> int:
    """Serve until a signal; the exit code. Raises ConfigError for a missing secret or a taken address.

    Without an address of Redis: all shards.
    """
    logs.configure(settings.log_level, settings.log_format)
    failpoints.arm(settings.failpoints)
    with tracing.opened("serve"):
        _serve(settings, redis_url, reuse_port=reuse_port)
    return 0


def _serve(settings: Settings, redis_url: str | None, *, reuse_port: bool) -> None:
    app = Shards(settings) if redis_url is None else build(settings, redis_url)
    for url in [redis_url] if redis_url else [shard.redis_url for shard in settings.shards]:
        asyncio.run(_agreed(url, settings.retention))
    _allow_open_files(CONNECTIONS_MOST + BACKLOG)
    garbage.settle()
    with bound(settings.host, settings.port, reuse_port=reuse_port) as listening:
        Server(configured(app, settings.grace)).run(sockets=[listening])


async def _agreed(redis_url: str, retention: float) -> None:
    """By a client of this loop alone. Raises ConfigError for a ledger of a newer version."""
    ledger = Ledger(redis_url, retention)
    try:
        await ledger.agree()
    finally:
        await ledger.aclose()


def configured(
    app: ASGIApp, grace: float, protocol: type[DeadlineProtocol] = DeadlineProtocol
) -> uvicorn.Config:
    """`grace`: seconds for what is in flight when a signal comes."""
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Whoever has no token must come from this machine himself, whatever a header says of him.
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(grace)),
    )


def bound(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A listening socket. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only for a socket that says TCP itself; with it an answer takes 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise ConfigError(
            f"CATCHLIGHT_HOST, CATCHLIGHT_PORT: cannot listen on {host}:{port}: {reason}"
        ) from error
    return listening


def _allow_open_files(wanted: int) -> None:
    """A burst of callbacks opens more connections than a shell's usual 1024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
