"""Serving an ASGI application within the current event loop: the simulator's own, and the sample hook's."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn

from service.simulator.app import build
from service.simulator.simulator import Simulator, SimulatorConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to whoever runs the loop, who ends us by cancelling."""
        yield


def _server(app: ASGIApp) -> _Server:
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        # A broken-off download is what `truncated` is for; uvicorn would report each as an error.
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    config.load()
    return _Server(config)


def _listen(host: str, port: int) -> socket.socket:
    """Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is spelled out, and without it each answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def serving(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Its base URL, while it answers; port 0 is any free one."""
    listener = _listen(host, port)
    async with _answering(app, listener):
        yield _url(listener)


@asynccontextmanager
async def _answering(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    server = _server(app)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        # Asked to stop while it starts, uvicorn would leave its listener behind.
        await server.up.wait()
        yield
    finally:
        server.should_exit = True
        await asyncio.shield(task)
        listener.close()


@asynccontextmanager
async def running(
    config: SimulatorConfig | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[tuple[str, Simulator]]:
    """The simulator with its base URL, served until the block is left."""
    listener = _listen(host, port)
    async with Simulator(config) as sim:
        sim.base_url = sim.base_url or _url(listener)
        async with _answering(build(sim), listener):
            yield _url(listener), sim


async def serve(
    config: SimulatorConfig, host: str, port: int, on_ready: Callable[[str, Simulator], None]
) -> None:
    """Until cancelled; `on_ready` learns the address."""
    async with running(config, host, port) as (base_url, sim):
        on_ready(base_url, sim)
        await asyncio.Event().wait()
