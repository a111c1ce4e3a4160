"""`catchlight demo`: the whole way of the data on one machine, with a provider as bad as a real one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from httpx_aiohttp import HttpxAiohttpClient

from service import embedded, wavespeed
from service.cli import family, story
from service.cli.supervisor import Child, ChildFailed, Supervisor
from service.cli.tally import Tally, take
from service.ending import end
from service.ledger import Ledger
from service.ledger.query import DeliveryQuery
from service.settings import load
from service.settings.environment import child_environment
from service.simulator.load import Planned, drive, plan
from service.simulator.run import running, serving
from service.simulator.simulator import DEMO_SECRET, SimulatorConfig
from service.simulator.sink import Outage, Sink

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.simulator.simulator import Simulator

HOOK_SECRET = "whsec_Y2F0Y2hsaWdodC1kZW1vLWhvb2stc2VjcmV0"  # noqa: S105  # of the demo's own hook
RATE = 12.0
"""Predictions submitted per second."""
OUTAGE = Outage(first=10)
"""The first attempts that the sample hook refuses."""
PATIENCE = 300.0
"""Seconds after which what is not terminal counts as lost."""
LOOK_EVERY = 0.25
READY_WITHIN = 180.0
"""Seconds that the receiver has until it answers: a small, busy machine starts Python slowly."""

# Everything that waits for minutes in real life waits for seconds here; nothing else is different.
PACE = {
    "poll_after": "3s",
    "poll_max": "3s",
    "reconcile_every": "4s",
    "fetch_schedule": "300ms,600ms,1s,2s,3s",
    "fetch_idle": "5s",
    "hook_schedule": "500ms,1s,2s,3s,5s,5s,10s",
}


class Unanswered(Exception):  # noqa: N818  # it names what happened
    """The receiver of the demo does not do its part; nothing can be shown without."""


def command(
    events: Annotated[int, typer.Option(min=1, max=100_000, help="Predictions to submit.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed makes the same mix of faults.")] = 1,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End when all are terminal; exit 0 if nothing was lost.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tally as one JSON object.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Leave files, ledger and hooks.jsonl here.")] = None,
) -> None:
    """Show all of it on a bare machine: a simulated provider, lost and forged callbacks, a hook that is down.

    With --once it ends by itself, and its exit code says whether anything was lost.
    """
    folder = (keep or Path(tempfile.mkdtemp(prefix="catchlight-demo-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tally = asyncio.run(_demo(folder, events, seed, once=once, show=not as_json))
    except (ChildFailed, Unanswered) as failure:
        sys.stderr.write(f"error: {failure}; see {folder / 'roles.log'}\n")
        raise typer.Exit(1) from None
    if tally is not None and as_json:
        sys.stdout.write(json.dumps(tally.public()) + "\n")
    if keep is None and as_json:
        shutil.rmtree(folder, ignore_errors=True)
    elif not as_json:
        story.tell_end(tally if once else None, folder)
    if tally is not None and not tally.nothing_lost:
        raise typer.Exit(1)


async def _demo(folder: Path, events: int, seed: int, *, once: bool, show: bool) -> Tally | None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        if show:
            story.tell_starting()
        stage = await _stage(stack, folder, seed)
        playing = asyncio.create_task(
            _play(stage, plan(events, seed), events, once=once, show=show, stopping=stopping)
        )
        stopped = asyncio.create_task(stopping.wait())
        dead = asyncio.create_task(stage.supervisor.watch())
        await asyncio.wait({playing, stopped, dead}, return_when=asyncio.FIRST_COMPLETED)
        await end(playing, stopped, dead)
        if not dead.cancelled():
            dead.result()
        return None if playing.cancelled() else playing.result()


@dataclass(frozen=True, slots=True)
class _Stage:
    """What the demo has built: where things are, and who keeps them alive."""

    folder: Path
    base: str
    provider: str
    simulator: Simulator
    sink: Sink
    ledger: Ledger
    supervisor: Supervisor


async def _stage(stack: AsyncExitStack, folder: Path, seed: int) -> _Stage:
    provider, simulator = await stack.enter_async_context(
        running(SimulatorConfig(seed=seed, secrets=(DEMO_SECRET,)))
    )
    sink = stack.enter_context(Sink([HOOK_SECRET], folder / "hooks.jsonl", OUTAGE))
    hook = await stack.enter_async_context(serving(sink.app()))
    port, redis_port = embedded.free_port(), embedded.free_port()
    base, redis_url = f"http://127.0.0.1:{port}", embedded.url(redis_port)
    config = _settings(folder, base=base, provider=provider, redis_url=redis_url, hook=hook)
    environment = child_environment({"config": str(config)}, inherit=False)
    log = stack.enter_context((folder / "roles.log").open("ab", buffering=0))

    def relay(_: str, line: bytes) -> None:
        log.write(line)

    supervisor = Supervisor(
        [
            Child("redis", embedded.command(folder, redis_port), environment),
            *family.roles(environment),
        ],
        relay=relay,
        grace=15.0,
    )
    stack.push_async_callback(supervisor.stop)
    await supervisor.start()
    ledger = Ledger(redis_url, load({}, None).retention)
    stack.push_async_callback(ledger.aclose)
    return _Stage(folder, base, provider, simulator, sink, ledger, supervisor)


def _settings(folder: Path, *, base: str, provider: str, redis_url: str, hook: str) -> Path:
    """All of the demo's settings as a file, so that `catchlight ls` works in its folder while it runs."""
    settings = PACE | {
        "redis_url": redis_url,
        "data_dir": str(folder),
        "storage_url": (folder / "outputs").as_uri(),
        "public_url": base,
        "host": "127.0.0.1",
        "port": base.rpartition(":")[2],
        "webhook_secrets": DEMO_SECRET,
        "wavespeed_api_key": "simulated",
        "provider_url": f"{provider}/api/v3",
        "fetch_hosts": "127.0.0.1",
        "fetch_private": "127.0.0.0/8",
    }
    lines = [f'{name} = "{value}"' for name, value in settings.items()]
    lines += ["", "[[hooks]]", 'name = "sample"', f'url = "{hook}/hook"', f'secret = "{HOOK_SECRET}"']
    file = folder / "catchlight.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


async def _play(
    stage: _Stage, planned: list[Planned], events: int, *, once: bool, show: bool, stopping: asyncio.Event
) -> Tally:
    async with HttpxAiohttpClient(base_url=stage.base, trust_env=False, timeout=30.0) as client:
        await until_ready(client)
        if show:
            story.tell_start(stage.base, stage.provider)
        began = time.monotonic()
        with story.progress(events, show=show) as look:
            driving = asyncio.create_task(
                drive(
                    planned,
                    lambda item: _submit(client, item),
                    simulator_url=stage.provider,
                    webhook=f"{stage.base}/webhooks/{wavespeed.SOURCE}",
                    rate=RATE,
                )
            )
            try:
                await _until_done(stage, driving, look, began)
            except ExceptionGroup as failed:
                if isinstance(first := _first(failed), httpx.HTTPError):
                    raise Unanswered(f"a submission failed: {type(first).__name__} {first}") from failed
                raise
            finally:
                await end(driving)
    tally = await take(stage.ledger, stage.simulator.truth(), stage.sink.seen, time.monotonic() - began)
    if not once and not stopping.is_set():
        if show:
            story.tell_open(tally, stage.base, stage.folder)
        await stopping.wait()
    return tally


async def until_ready(client: httpx.AsyncClient, within: float = READY_WITHIN) -> None:
    """Looks at /readyz until it is well, for so many seconds. Raises Unanswered."""
    late = time.monotonic() + within
    while time.monotonic() < late:
        with contextlib.suppress(httpx.TransportError):
            if (await client.get("/readyz", timeout=5.0)).is_success:
                return
        await asyncio.sleep(LOOK_EVERY)
    raise Unanswered(f"the receiver was not ready after {within:g} s")


async def _submit(client: httpx.AsyncClient, item: Planned) -> str:
    answer = await client.post("/api/v1/predictions", json={"model": item.model, "input": item.inputs})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _first(failed: BaseException) -> BaseException:
    """Many fail at once, and of the same, as a rule."""
    while isinstance(failed, BaseExceptionGroup):
        failed = failed.exceptions[0]
    return failed


async def _until_done(
    stage: _Stage,
    driving: asyncio.Task[Any],
    look: Callable[[dict[str, int], dict[str, int]], None],
    began: float,
) -> None:
    """All submitted, all called back, all terminal, all told; or out of patience."""
    while time.monotonic() - began < PATIENCE:
        counts, tally = await stage.ledger.reading.counts(), await stage.ledger.reading.tally()
        look(counts, tally)
        if driving.done():
            driving.result()
            open_ones = counts["awaited"] + counts["accepted"] + counts["working"]
            terminal = sum(counts.values()) - open_ones
            known = stage.simulator.truth()["totals"]["predictions"]
            pending = await stage.ledger.reading.deliveries(1, None, DeliveryQuery(state="pending"))
            if not open_ones and terminal >= known and stage.simulator.quiet and not pending[0]:
                return
        await asyncio.sleep(LOOK_EVERY)
