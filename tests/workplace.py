"""A worker's surroundings, all real: provider and CDN, a hook, a ledger, a directory; and its processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from service import clock, settings, wavespeed
from service.intake import Intake
from service.ledger import Arrival, Ledger
from service.ledger.callback_headers import CallbackHeaders
from service.prediction import TERMINAL, Ref, Step, Via
from service.simulator import wire
from service.simulator.app import build
from service.simulator.plot import PLAIN_MODEL
from service.simulator.run import serving
from service.simulator.simulator import Simulator, SimulatorConfig
from service.simulator.sink import Outage, Sink
from service.storage import layout
from tests.forged import Forged
from workers import deliver, process, workshop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    import redis

    from service.ledger import PredictionRecord
    from service.settings import Settings
    from service.simulator.scenario import Scenario
    from workers.workshop import Workshop

HOOK_SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0LWhvb2s="
QUICK = {"fetch_schedule": "10ms,10ms,10ms,10ms", "hook_schedule": "10ms,10ms", "fetch_idle": "1s"}
"""Schedules that a test can wait for."""

AROUND = CallbackHeaders("msg_7a1c", "1764338400", "acme-webhooks/1.4", "application/json")
"""Of every callback here."""


async def until(
    holds: Callable[[], object | Awaitable[object]], seconds: float = 15.0, what: str = ""
) -> None:
    """The loop goes on meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if await found if asyncio.iscoroutine(found) else found:
            return
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or holds}"
        await asyncio.sleep(0.02)


def dispositions(prediction: dict[str, Any]) -> list[str]:
    return [output["disposition"] for output in prediction["outputs"]]


def steps(prediction: dict[str, Any]) -> list[str]:
    return [line["step"] for line in prediction["timeline"]]


@dataclass
class Workplace:
    environment: dict[str, str]
    settings: Settings
    ledger: Ledger
    intake: Intake
    sim: Simulator
    sink: Sink
    folder: Path
    hook_url: str
    """Of the sink."""

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    def files(self) -> list[str]:
        """Every output that stands in the storage; `held/…` when it is held."""
        found = (path for path in self.outputs.rglob("*") if path.is_file())
        others = {"manifest.json", layout.PLACE}
        return sorted(str(path.relative_to(self.outputs)) for path in found if path.name not in others)

    def manifest(self, ref: Ref, *, held: bool = False) -> dict[str, Any] | None:
        pattern = f"{'held/' if held else ''}{PLAIN_MODEL.replace('/', '_')}/*/*/*/{ref.id}/manifest.json"
        found = list(self.outputs.glob(pattern))
        return json.loads(found[0].read_bytes()) if found else None

    def payload(self, scenario: Scenario, **changes: Any) -> dict[str, Any]:
        """What the provider calls back with, of a prediction that is finished already."""
        made = self.sim.submit(PLAIN_MODEL, {"simulate": scenario})
        return wire.payload(made, made.ready, self.sim.base_url) | changes

    async def complete(self, said: Mapping[str, Any], via: Via = Via.CALLBACK) -> Ref:
        ref = Ref(wavespeed.SOURCE, said["id"])
        report = wavespeed.report(dict(said))
        around = AROUND if via is Via.CALLBACK else None
        await self.intake.accept(Arrival(ref, via, Step.CALLED_BACK, report, headers=around))
        return ref

    async def prediction(self, ref: Ref) -> dict[str, Any]:
        found = await self.ledger.reading.prediction(ref)
        assert found is not None, f"no prediction {ref}"
        return found

    async def record(self, ref: Ref) -> PredictionRecord:
        found = await self.ledger.reading.record(ref)
        assert found is not None, f"no prediction {ref}"
        return found

    async def stage(self, ref: Ref) -> str:
        return str((await self.prediction(ref))["stage"])

    async def ended(self, ref: Ref, seconds: float = 20.0) -> dict[str, Any]:
        """Whoever works on it: the prediction, once it is terminal."""

        async def terminal() -> bool:
            return await self.stage(ref) in TERMINAL

        await until(terminal, seconds, f"{ref} is terminal")
        return await self.prediction(ref)

    async def worked(self, shop: Workshop, ref: Ref) -> dict[str, Any]:
        """Worked on right here, round after round, until it is terminal."""

        async def terminal() -> bool:
            await self.ledger.sweeping.sweep(100, reclaim=True)
            await process.process(shop, ref)
            return await self.stage(ref) in TERMINAL

        await until(terminal, what=f"{ref} is terminal")
        return await self.prediction(ref)

    async def delivered(self, shop: Workshop, ref: Ref) -> list[dict[str, Any]]:
        """Its deliveries, once none of them is pending."""

        async def settled() -> bool:
            await self.ledger.sweeping.sweep(100, reclaim=True)
            for one in (await self.prediction(ref))["deliveries"]:
                await deliver.deliver(shop, one["id"])
            return all(one["state"] != "pending" for one in (await self.prediction(ref))["deliveries"])

        await until(settled, what=f"the deliveries of {ref} are settled")
        listed: list[dict[str, Any]] = (await self.prediction(ref))["deliveries"]
        return listed

    def told(self, type_: str = "") -> list[dict[str, Any]]:
        """Attempts that the hook saw, of one type or of all."""
        return [line for line in self.sink.seen if line["type"].startswith(type_)]


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


@asynccontextmanager
async def workplace(
    redis_url: str,
    folder: Path,
    *,
    config: SimulatorConfig | None = None,
    outage: Outage | None = None,
    hooks: Mapping[str, Mapping[str, Any]] | None = None,
    tables: str = "",
    **changes: Any,
) -> AsyncIterator[Workplace]:
    """`changes` are settings by name; `hooks` stand beside the sink's, `tables` is more TOML."""
    config = config or SimulatorConfig(delay=(0, 0), media_bytes=2_000)
    with Sink([HOOK_SECRET], folder / "hooks.jsonl", outage) as sink:
        async with Simulator(config) as sim, serving(_both(sim, sink)) as url:
            sim.base_url = url
            every = {"sink": {"url": f"{url}/hook"}} if hooks is None else hooks
            file = folder / "catchlight.toml"
            file.write_text(tables + "".join(_hook(name, one) for name, one in every.items()))
            wanted = {
                "redis_url": redis_url,
                "provider_url": f"{url}/api/v3",
                "wavespeed_api_key": "a-key",
                "storage_url": (folder / "outputs").as_uri(),
                "fetch_hosts": "127.0.0.1",
                "fetch_private": "127.0.0.0/8",
                "config": str(file),
                "log_format": "json",
            } | QUICK | changes  # fmt: skip
            environment = {f"CATCHLIGHT_{name.upper()}": value for name, value in wanted.items()}
            loaded = settings.load(environment)
            ledger = Ledger(redis_url, loaded.retention)
            try:
                yield Workplace(environment, loaded, ledger, Intake(ledger), sim, sink, folder, f"{url}/hook")
            finally:
                await ledger.aclose()


def _both(sim: Simulator, sink: Sink) -> Starlette:
    """Provider, CDN and hook on one socket: each server more costs a test a tenth of a second."""
    return Starlette(routes=[*build(sim).routes, *sink.app().routes])


def _hook(name: str, fields: Mapping[str, Any]) -> str:
    every = {"name": name, "secret": HOOK_SECRET} | dict(fields)
    return "[[hooks]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in every.items())


@asynccontextmanager
async def shop_of(place: Workplace, name: str = "here") -> AsyncIterator[Workshop]:
    async with workshop.opened(place.settings, name) as shop:
        yield shop


class Process(Forged):
    async def ended(self) -> int:
        """Its return code, when it has one; the loop goes on meanwhile."""
        while (code := self.poll()) is None:  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.02)
        return int(code)


@dataclass
class Role:
    """One process of ours and what it wrote to stderr."""

    process: Process
    log: Path
    ended: bool = field(default=False)

    def said(self) -> str:
        return self.log.read_text("utf-8")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.ended(), 20)


@asynccontextmanager
async def role(place: Workplace, name: str, *, ready: bool = True, **changes: str) -> AsyncIterator[Role]:
    """`python -m workers NAME`, and ready unless that does not matter; killed at the end if it still runs."""
    async with started(place, [sys.executable, "-P", "-m", "workers", name], **changes) as one:
        await until(
            lambda: not ready or f"ready role={name}\n" in one.said() or one.process.poll() is not None,
            what=f"{name} is ready",
        )
        assert one.process.poll() is None, one.said()
        yield one


@asynccontextmanager
async def started(place: Workplace, command: list[str], **changes: str) -> AsyncIterator[Role]:
    """Any command with the settings of the place in its environment."""
    changed = {f"CATCHLIGHT_{key.upper()}": value for key, value in changes.items()}
    log = place.folder / f"{clock.now()}.log"
    with log.open("wb") as out:
        child = Process(
            command, cwd=place.folder, stderr=out, stdout=out,
            env={"PATH": os.environ["PATH"]} | place.environment | changed,
        )  # fmt: skip
    try:
        yield Role(child, log)
    finally:
        child.kill()
        await child.ended()


def rq_keys(server: redis.Redis) -> dict[str, int]:
    """RQ's keys with their time to live, -1 for ever."""
    found = [key.decode() if isinstance(key, bytes) else key for key in server.scan_iter("rq:*")]
    return {key: int(server.ttl(key)) for key in found}
