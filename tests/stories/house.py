"""A whole Catchlight for stories: real processes, a real server, a simulated provider and hooks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any, Self

import httpx

from service import embedded
from service.settings.environment import child_environment
from service.simulator.run import running, serving
from service.simulator.simulator import DEMO_SECRET, SimulatorConfig
from service.simulator.sink import Outage, Sink
from tests.forged import Forged
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path
    from types import TracebackType

    from service.simulator.simulator import Simulator

HOOK_SECRET = "whsec_c3RvcmllcyBrZWVwIG5vIHNlY3JldHM="
STREAMED_MODEL = "stories/written-to-a-stream"
STREAM = f"""
[[hooks]]
name = "lake"
kind = "redis-stream"
stream = "lake"
models = ["{STREAMED_MODEL}"]
"""
FLAKY_MODEL = "stories/told-to-a-hook-that-is-down"
TERMINAL = {"done", "failed", "expired", "dead"}

_ROLES = {
    "serve": [sys.executable, "-m", "service.cli", "serve"],
    "work": [sys.executable, "-m", "workers", "work"],
    "sweep": [sys.executable, "-m", "workers", "sweep"],
}

# Seconds where real life has minutes; nothing else differs from the defaults.
_PACE = {
    "poll_after": "1s",
    "poll_max": "2s",
    "reconcile_every": "2s",
    "fetch_schedule": "200ms,400ms,1s,2s,2s",
    "hook_schedule": "200ms,400ms,1s,2s,2s",
    "lease": "3s",
    "compact_after": "300ms",
}


class World:
    """The provider and the hooks, on an event loop of their own in a thread of their own."""

    def __init__(self, folder: Path, config: SimulatorConfig) -> None:
        self._ready = threading.Event()
        self._folder = folder
        self._config = config
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._live()))
        self.simulator: Simulator
        self.provider = self.hook = self.flaky_hook = ""
        self.sink: Sink
        self.flaky_sink: Sink

    async def _live(self) -> None:
        async with AsyncExitStack() as stack:
            self.provider, self.simulator = await stack.enter_async_context(running(self._config))
            self.sink = stack.enter_context(Sink([HOOK_SECRET], self._folder / "hooks.jsonl"))
            self.flaky_sink = stack.enter_context(
                Sink([HOOK_SECRET], self._folder / "flaky.jsonl", Outage(of_each=3))
            )
            self.hook = await stack.enter_async_context(serving(self.sink.app()))
            self.flaky_hook = await stack.enter_async_context(serving(self.flaky_sink.app()))
            self._ready.set()
            await self._over.wait()

    def run(self, act: Coroutine[Any, Any, None]) -> None:
        """On the provider's own loop."""
        asyncio.run_coroutine_threadsafe(act, self._loop).result(30)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20), "the simulator did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)
        self._loop.close()


class House:
    """`changes` are settings by attribute name, over those of all stories; `tables` go into the file.

    `variables` are the environment's that are none of our settings.
    """

    def __init__(
        self,
        folder: Path,
        changes: Mapping[str, str] | None = None,
        config: SimulatorConfig | None = None,
        tables: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._variables = dict(variables or {})
        self._tables = tables
        self._changes = dict(changes or {})
        self._stack = ExitStack()
        self._processes: dict[str, Forged] = {}
        self.world = World(folder, config or SimulatorConfig(delay=(0.1, 0.3), callback_retry_base=0.2))
        self.client: httpx.Client
        self.base = ""

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(self.world)
        redis_url = self._changes.get("redis_url") or self._stack.enter_context(embedded.running(self.folder))
        port = embedded.free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.client = self._stack.enter_context(httpx.Client(base_url=self.base, trust_env=False, timeout=20))
        config = self.folder / "catchlight.toml"
        config.write_text(self._hooks() + self._tables)
        self.environment = (
            child_environment(
                _PACE
                | {
                    "config": str(config),
                    "redis_url": redis_url,
                    "data_dir": str(self.folder),
                    "storage_url": (self.folder / "outputs").as_uri(),
                    "public_url": self.base,
                    "port": str(port),
                    "webhook_secrets": DEMO_SECRET,
                    "wavespeed_api_key": "simulated",
                    "provider_url": f"{self.world.provider}/api/v3",
                    "fetch_hosts": "127.0.0.1",
                    "fetch_private": "127.0.0.0/8",
                }
                | self._changes,
                inherit=False,
            )
            | self._variables
        )
        self._stack.callback(self.stop)
        for role in _ROLES:
            self.start(role, wait=False)
        for role in _ROLES:
            self.wait_ready(role)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _hooks(self) -> str:
        hook = 'name = "{name}"\nurl = "{url}/hook"\nsecret = "{secret}"\n'
        sample = hook.format(name="sample", url=self.world.hook, secret=HOOK_SECRET)
        flaky = hook.format(name="flaky", url=self.world.flaky_hook, secret=HOOK_SECRET)
        return f'[[hooks]]\n{sample}\n[[hooks]]\n{flaky}models = ["{FLAKY_MODEL}"]\n{STREAM}'

    def start(self, role: str, *, wait: bool = True) -> None:
        with self._log(role).open("ab") as log:
            self._processes[role] = Forged(_ROLES[role], env=self.environment, stderr=log, process_group=0)
        if wait:
            self.wait_ready(role)

    def wait_ready(self, role: str) -> None:
        process = self._processes[role]

        def is_ready() -> bool:
            assert process.poll() is None, f"{role} ended:\n{self.log(role)[-3000:]}"
            return f"ready role={role}" in self.log(role)

        wait_until(is_ready, 30, f"{role} is ready")

    def _log(self, role: str) -> Path:
        # One file per start: `ready` must be this process' own word.
        return self.folder / f"{role}.log"

    def log(self, role: str) -> str:
        path = self._log(role)
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def kill(self, role: str) -> None:
        """SIGKILL, the whole group."""
        process = self._processes.pop(role)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._log(role).rename(self.folder / f"{role}.{process.pid}.log")

    def end(self, role: str) -> int:
        """SIGTERM; its exit code."""
        process = self._processes.pop(role)
        process.terminate()
        code = process.wait(30)
        self._log(role).rename(self.folder / f"{role}.{process.pid}.log")
        return code

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(30)
        self._processes.clear()

    def submit(
        self, scenario: str, model: str = "stories/painter", source: str | None = None, **metadata: Any
    ) -> str:
        """Through our API; the id."""
        body = {"model": model, "input": {"prompt": "a fox", "simulate": scenario}, "metadata": metadata}
        which = {"source": source} if source else {}
        answer = self.client.post("/api/v1/predictions", json=body, params=which)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def show(self, id_: str, source: str | None = None) -> dict[str, Any]:
        which = {"source": source} if source else {}
        answer = self.client.get(f"/api/v1/predictions/{id_}", params=which)
        assert answer.status_code in (200, 404), answer.text
        found: dict[str, Any] = answer.json()
        return found if answer.status_code == 200 else {}

    def ended(self, id_: str, timeout: float = 20, source: str | None = None) -> dict[str, Any]:
        """The prediction, once it is terminal and every delivery of it is over."""

        def over() -> dict[str, Any]:
            found = self.show(id_, source)
            told = all(delivery["state"] != "pending" for delivery in found.get("deliveries", []))
            return found if found.get("stage") in TERMINAL and told else {}

        wait_until(over, timeout, f"{id_} ends; it is {self.show(id_, source)}")
        # Once more: the last delivery may have ended after its lines were read, and before its state was.
        return self.show(id_, source)

    def truth(self, id_: str) -> dict[str, Any]:
        return next(one for one in self.world.simulator.truth()["predictions"] if one["id"] == id_)

    def heard(self, id_: str, kind: str = "") -> list[dict[str, Any]]:
        """What the sample hook took of a prediction: event bodies."""
        lines = [line for line in self.world.sink.seen if line["prediction"] == id_ and line["status"] == 200]
        assert all(line["verified"] for line in lines)
        return [body for body in (json.loads(line["body"]) for line in lines) if kind in ("", body["type"])]
