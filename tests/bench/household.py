"""All of it as real processes: Redis, an origin, a hook, a provider when one is asked, and our own roles."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.embedded import free_port
from tests.bench.contestants import PYTHON, ours
from tests.bench.ingest import answers
from tests.bench.processes import redis_server, started
from tests.waiting import wait_until
from tests.workplace import HOOK_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.processes import Running, Server

SIZE = 100_000
ROLES = ("serve", "work", "sweep")

Told = dict[str, tuple[float, bool]]
"""Prediction id → when the hook was told, and whether the file was there by then."""


@dataclass
class House:
    """All of it running, but for the roles that a measurement leaves out."""

    server: Server
    port: int
    origin: int
    notes: Path
    running: dict[str, Running]
    folder: Path
    environment: dict[str, str]
    """Of its roles."""

    @property
    def output(self) -> str:
        return f"http://127.0.0.1:{self.origin}/{{id}}.png"

    def told(self) -> Told:
        lines = [line.split() for line in self.notes.read_text().splitlines()]
        return {id_: (float(at), there == "1") for id_, at, there, _ in lines}

    def busy(self) -> dict[str, float]:
        """CPU seconds so far."""
        return {name: one.cpu() for name, one in self.running.items()}


@contextlib.contextmanager
def house(
    roles: tuple[str, ...],
    fill: Callable[[Server, int], None] | None = None,
    *,
    size: int = SIZE,
    hooks: bool = True,
    **settings: str,
) -> Iterator[House]:
    """`fill(server, origin's port)` is called before the roles start; `size` is that of every output."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(redis_server(None))
        port, origin, hook, provider = free_port(), free_port(), free_port(), free_port()
        notes = folder / "told"
        _listening(stack, origin, "tests.bench.origin", "--bytes", str(size), "--delay", "0")
        _listening(stack, hook, "tests.bench.hook", "--notes", str(notes))
        _listening(stack, provider, "tests.bench.provider", "--origin", str(origin))
        if fill:
            fill(server, origin)
        config = folder / "catchlight.toml"
        crm = f'[[hooks]]\nname = "crm"\nurl = "http://127.0.0.1:{hook}/"\nsecret = "{HOOK_SECRET}"\n'
        config.write_text(crm if hooks else "")
        given = {
            "PORT": str(port),
            "CONFIG": str(config),
            "RECONCILE_EVERY": "0",
            "PROVIDER_URL": f"http://127.0.0.1:{provider}",
        } | settings
        environment = ours(server.url, str(folder), **given) | {"WAVESPEED_API_KEY": "bench"}
        running = {"Redis": server.running}
        for role in roles:
            package = "service.cli" if role == "serve" else "workers"
            running[role] = stack.enter_context(started([PYTHON, "-m", package, role], environment, None))
        for role in roles:
            ready(running[role], role)
        yield House(server, port, origin, notes, running, folder, environment)


def ready(running: Running, role: str) -> None:
    def said() -> bool:
        running.check()
        return f"ready role={role}" in running.said()

    wait_until(said, timeout=60)


def _listening(stack: contextlib.ExitStack, port: int, module: str, *arguments: str) -> None:
    command = [PYTHON, "-m", module, "--port", str(port), *arguments]
    stack.enter_context(started(command, {}, None, lambda: answers(port)))
