"""The long-lived roles: open what they need, say that they are ready, beat, and drain when asked to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from structlog.contextvars import bound_contextvars

from service import failpoints, garbage, login, logs, tracing, wavespeed
from service.ending import end
from service.errors import ConfigError
from service.intake import Intake
from service.ledger import Ledger
from service.ledger.roles import Said
from service.prediction import Ref, Stage
from service.queues import DELIVER, PROCESS
from service.storage import StorageFullError
from service.tracing import telling
from workers import jobs, process, workshop
from workers.loop import HAND_BACK, Loop
from workers.outage import waited_out
from workers.sweep import Sweeper
from workers.watchdog import patience, watching
from workers.worker import GONE, ConcurrentWorker, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.ledger import PredictionRecord
    from service.settings import Settings
    from workers.workshop import Workshop

log = structlog.get_logger("role")

REDIS_RETRY = 1.0
_STOPS = (signal.SIGTERM, signal.SIGINT)
_ALONE = ("SOURCE", "ID", "TOKEN")


def work(settings: Settings, _: list[str]) -> int:
    """One concurrent RQ worker in this process."""
    logs.configure(settings.log_level, settings.log_format)
    failpoints.arm(settings.failpoints)
    settings.require_redis_url()
    with tracing.opened("work"):
        asyncio.run(_work(settings))
    return 0


async def _work(settings: Settings) -> None:
    stopping = _on_signals(settings.grace, *_STOPS)
    async with workshop.opened(settings, workshop.instance_name()) as shop:
        await shop.ledger.agree()
        place = await _find_out(shop)
        await shop.vault.tidy()
        worker = await _registered(settings, shop.name, stopping)
        if worker is None:
            return
        loop = Loop(
            worker,
            {PROCESS: jobs.process_prediction, DELIVER: jobs.deliver_event},
            settings.concurrency,
        )
        shop.meter.watch(lambda: _places(loop, settings.concurrency))
        beats = asyncio.create_task(
            shop.ledger.roles.keep_beating(
                "work",
                shop.name,
                lambda: Said(
                    loop.running, shop.room.trouble, settings.concurrency, shop.room.free, place=place
                ),
                shop.meter,
            )
        )
        stopper = asyncio.create_task(_when(stopping, loop.stop))
        declaring = asyncio.create_task(_declare_policy(shop))
        garbage.settle()
        _ready("work")
        try:
            with watching(patience(settings.lease)):
                await loop.run(settings.grace)
        finally:
            await end(beats, stopper, declaring)
            await asyncio.to_thread(_unregister, worker)


def _places(loop: Loop, most: int) -> dict[str, float]:
    """Jobs in flight; and whether that is all that may be."""
    return {"in_flight": loop.running, "full": loop.running >= most}


async def _find_out(shop: Workshop) -> str:
    """A storage that cannot be written is found out now, not at the first prediction. Which one it is."""
    try:
        await shop.vault.check()
        return await shop.vault.place()
    except StorageFullError as error:
        # It may have room again, and meanwhile there are deliveries to make.
        log.warning("storage.full", error=str(error))
        return ""


async def _declare_policy(shop: Workshop) -> None:
    """What is handed on depends on it: no change of it goes unseen."""
    policy, by = str(shop.policy), f"{login.name()} on {socket.gethostname()}"
    before = await waited_out(lambda: shop.ledger.policies.declare(policy, by), "policy")
    if before is not None:
        log.warning("moderation.changed", before=before, now=policy, by=by)


async def _registered(settings: Settings, name: str, stopping: asyncio.Event) -> ConcurrentWorker | None:
    """RQ's worker, once Redis answers; None when we are stopped before."""
    connection = connect(settings.require_redis_url())

    def register() -> ConcurrentWorker:
        worker = ConcurrentWorker(connection, name)
        worker.beat([])
        return worker

    while not stopping.is_set():
        try:
            return await asyncio.to_thread(register)
        except GONE as error:
            log.warning("redis.away", error=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), REDIS_RETRY)
    return None


def _unregister(worker: ConcurrentWorker) -> None:
    try:
        worker.leave()
    except GONE as error:
        log.warning("redis.away", error=str(error))
    worker.connection.close()


def sweep(settings: Settings, _: list[str]) -> int:
    """One sweeper; of several, one leads."""
    logs.configure(settings.log_level, settings.log_format)
    failpoints.arm(settings.failpoints)
    settings.require_redis_url()
    with tracing.opened("sweep"):
        asyncio.run(_sweep(settings))
    return 0


async def _sweep(settings: Settings) -> None:
    stopping = _on_signals(settings.grace, *_STOPS)
    name = workshop.instance_name()
    ledger = Ledger(settings.require_redis_url(), settings.retention, urgent_within=settings.urgent_within)
    await ledger.agree()
    intake = Intake(ledger)
    async with wavespeed.open_http() as http:
        clients = wavespeed.clients(settings.accounts, http)
        sweeper = Sweeper(settings, ledger, intake, clients, name)
        beats = asyncio.create_task(ledger.roles.keep_beating("sweep", name))
        stopper = asyncio.create_task(_when(stopping, sweeper.stop))
        _ready("sweep")
        try:
            await sweeper.run()
        finally:
            await end(beats, stopper)
            await intake.drained()
            await ledger.aclose()


def alone(settings: Settings, arguments: list[str]) -> int:
    """Work on one suspect under its parent's lease: SOURCE ID TOKEN."""
    if len(arguments) != len(_ALONE):
        raise ConfigError(f"alone takes {' '.join(_ALONE)}")
    source, id_, token = arguments
    logs.configure(settings.log_level, settings.log_format)
    failpoints.arm(settings.failpoints)
    with tracing.opened("alone"):
        asyncio.run(_alone(settings, Ref(source, id_), token))
    return 0


async def _alone(settings: Settings, ref: Ref, token: str) -> None:
    # SIGINT goes to the whole group: our parent decides what it means for us.
    stopping = _on_signals(settings.grace, signal.SIGTERM)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
    async with workshop.opened(settings, workshop.instance_name()) as shop:
        record = await shop.ledger.reading.record(ref)
        if record is None or record.stage is not Stage.WORKING or record.token != token:
            return
        working = asyncio.create_task(_holding(shop, record))
        stopper = asyncio.create_task(_end_when(stopping, working))
        await asyncio.wait({working})
        await end(stopper)
        if not working.cancelled():
            working.result()


async def _holding(shop: Workshop, record: PredictionRecord) -> None:
    """Renewed here as well as by the parent: should that one be killed, the work goes on."""
    with watching(patience(shop.settings.lease)):
        async with shop.leases.holding(record):
            with bound_contextvars(prediction=str(record.ref)), telling.alone(record):
                await process.work(shop, record)


def _on_signals(grace: float, *numbers: signal.Signals) -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        tracing.stopping(grace)
        stopping.set()

    for number in numbers:
        loop.add_signal_handler(number, stop)
    return stopping


async def _when(event: asyncio.Event, act: Callable[[], object]) -> None:
    await event.wait()
    act()


async def _end_when(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    await event.wait()
    await end(task, again_after=HAND_BACK)


def _ready(role: str) -> None:
    sys.stderr.write(f"ready role={role}\n")
    sys.stderr.flush()
