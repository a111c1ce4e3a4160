"""The real server on a real socket, in this loop or as a process; callbacks signed by the tests' own hand."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis

from service import embedded, keys
from service.settings import Settings
from service.web.app import build
from service.web.server import DeadlineProtocol, Server, bound, configured
from service.web.shards import Shards
from tests.described import NO_TLS, DescribedClient
from tests.forged import Forged
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import httpx
    from starlette.applications import Starlette

SECRET = "whsec_dGVzdC1zZWNyZXQtdGFrZW4tbGl0ZXJhbGx5"
NOWHERE = "http://127.0.0.1:9/api/v3"
"""A provider that nobody is: no test asks the real one."""
PATH = "/webhooks/wavespeed"
BODY_DEADLINE = 15.0


def callback(id_: str = "pred_1", status: str = "completed", **more: Any) -> bytes:
    """The body of a callback about one clean output."""
    told = {
        "id": id_,
        "model": "vendor/model",
        "status": status,
        "outputs": ["https://cdn.example/0.png"] if status == "completed" else [],
        "has_nsfw_contents": [False] if status == "completed" else [],
    }
    return json.dumps(told | more).encode()


def sign(
    body: bytes, at: float | None = None, *, secret: str = SECRET, message: str = "msg_1"
) -> dict[str, str]:
    """The three headers by the provider's documentation: a literal key, HMAC-SHA256, hexadecimal."""
    timestamp = int(time.time() if at is None else at)
    signed = f"{message}.{timestamp}.".encode() + body
    digest = hmac.new(secret.removeprefix("whsec_").encode(), signed, hashlib.sha256).hexdigest()
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v3,{digest}",
    }


@dataclass
class Served:
    """A server in this loop. `client` is on this machine, has no token, and checks what it gets."""

    url: str
    port: int
    client: httpx.AsyncClient
    app: Starlette

    async def call_back(self, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.client.post(PATH, content=body, headers=sign(body) if headers is None else headers)

    async def raw(self, *parts: bytes) -> bytes:
        """Everything that comes back for these bytes until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.writelines(parts)
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()


class _Server(Server):
    """Without the line that says it is ready, and without the signals, which are pytest's."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.up = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super(Server, self).startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(
    redis_url: str,
    *,
    protocol: type[DeadlineProtocol] = DeadlineProtocol,
    body_deadline: float = BODY_DEADLINE,
    **settings: Any,
) -> AsyncIterator[Served]:
    """`settings` by attribute name."""
    wanted = Settings.model_validate({"webhook_secrets": SECRET, "provider_url": NOWHERE} | settings)
    async with serving_with(wanted, redis_url, protocol=protocol, body_deadline=body_deadline) as served:
        yield served


@asynccontextmanager
async def serving_with(
    settings: Settings,
    redis_url: str | None,
    *,
    protocol: type[DeadlineProtocol] = DeadlineProtocol,
    body_deadline: float = BODY_DEADLINE,
) -> AsyncIterator[Served]:
    """Without an address of Redis: all shards that the settings have."""
    app: Any
    if redis_url is None:
        app = Shards(settings, body_deadline=body_deadline)
    else:
        app = build(settings, redis_url, body_deadline=body_deadline)
    listening = bound("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = _Server(configured(app, 1, protocol))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    url = f"http://127.0.0.1:{port}"
    try:
        await asyncio.wait_for(server.up.wait(), 10)
        async with DescribedClient(base_url=url, verify=NO_TLS, trust_env=False, timeout=10) as client:
            yield Served(url, port, client, app)
    finally:
        server.should_exit = True
        await task


@dataclass
class Role:
    """`catchlight serve` as a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def said(self) -> str:
        return self.log.read_text("utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """What it logged, without the line that says it is ready."""
        return [json.loads(line) for line in self.said().splitlines() if line != "ready role=serve"]


@contextmanager
def role(folder: Path, redis_url: str, **settings: Any) -> Iterator[Role]:
    """Started, and ready; killed at the end if it still runs."""
    settings = {"port": embedded.free_port()} | settings
    with started(folder, redis_url, **settings) as process:
        server = Role(process, f"http://127.0.0.1:{settings['port']}", folder / "serve.log")
        wait_until(lambda: "ready role=serve\n" in server.said() or process.poll() is not None)
        assert process.poll() is None, server.said()
        yield server


@contextmanager
def started(folder: Path, redis_address: str, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Its stderr goes to `serve.log` in the folder."""
    ours = {
        "webhook_secrets": SECRET,
        "provider_url": NOWHERE,
        "redis_url": redis_address,
        "log_format": "json",
    } | settings
    environment = {
        f"CATCHLIGHT_{name.upper()}": str(value) for name, value in ours.items() if value is not None
    }
    with (folder / "serve.log").open("wb") as log:
        process = Forged(
            [sys.executable, "-P", "-m", "service.cli", "serve"],
            cwd=folder,
            env={"PATH": os.environ["PATH"]} | environment,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stored(redis_url: str, id_: str, source: str = "wavespeed") -> dict[str, str]:
    """The prediction's hash as Redis has it at this moment; empty when it has none."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return dict(client.hgetall(f"{keys.PREDICTION}{source}:{id_}"))


def polled_at(redis_url: str, id_: str, source: str = "wavespeed") -> float | None:
    """When it is due to be asked for, in seconds since the epoch."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        due: float | None = client.zscore(keys.DUE_POLL, f"{source}:{id_}")
        return due


class OwnRedis:
    """A server that a test may kill, freeze and fill; it comes back on the same port with the same files."""

    def __init__(self, folder: Path) -> None:
        self.port = embedded.free_port()
        self.url = embedded.url(self.port)
        self.files = folder / "valkey"
        self._command = embedded.command(folder, self.port)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command)
        embedded.wait_ready(self.port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def configure(self, name: str, value: str) -> None:
        with redis.Redis(port=self.port) as client:
            client.config_set(name, value)


@contextmanager
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(folder)
    try:
        yield server
    finally:
        server.kill()
