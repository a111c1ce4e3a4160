"""Writes down how things stand at the end of a run: truth, ledger, storage, Redis and processes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from service import clock, keys, wavespeed
from service.ledger import Ledger
from service.prediction import TERMINAL, Nsfw, Ref, Stage
from service.simulator.media import render
from workers.outage import waited_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    import redis

    from service.ledger.reading import Reading
    from service.simulator.simulator import Simulator
    from service.simulator.truth import Prediction
    from tests.faults.history import History
    from tests.faults.processes import Slot

AT_ONCE = 64
ABOUT_TO_BEGIN = 4
_NOT_FILES = {".lock", ".PLACE"}


def truth(history: History, simulator: Simulator, poison: set[str]) -> None:
    for one in list(simulator.listed()):
        history.write(
            "prediction",
            at=one.created,
            id=one.id,
            scenario=one.scenario,
            expected_stage=Stage.DEAD if one.id in poison else one.expected_stage,
            ready=one.ready,
            nsfw=classes(one),
            files={} if one.id in poison else _files(one, simulator.config.media_bytes),
            poison=one.id in poison,
        )
        for sent in one.sent:
            history.write(
                "callback",
                at=sent.at,
                prediction=one.id,
                kind=sent.kind,
                attempt=sent.attempt,
                status=sent.status,
                seconds=None,
                error=sent.error or None,
            )


def classes(one: Prediction) -> list[Nsfw]:
    """What the provider says of each output; only a whole list of flags says clean."""
    flags, outputs = one.ending.nsfw, one.ending.outputs
    if not flags or len(flags) != len(outputs):
        return [Nsfw.UNKNOWN] * len(outputs)
    return [Nsfw.FLAGGED if flag else Nsfw.CLEAN for flag in flags]


def _files(one: Prediction, size: int) -> dict[int, str]:
    """Computed where the CDN was never asked."""
    return {
        index: one.sha256.get(index) or hashlib.sha256(render(one.id, index, extension, size)).hexdigest()
        for index, extension in enumerate(one.ending.files)
    }


def told(history: History, hook: str, seen: Sequence[dict[str, Any]]) -> None:
    """The attempts that a hook saw."""
    for line in seen:
        body = json.loads(line["body"])
        if line["prediction"] is None:
            # A ping is no event of anything.
            continue
        history.write(
            "hook",
            at=clock.parse_rfc3339(line["at"]),
            hook=hook,
            prediction=line["prediction"],
            event_id=line["event_id"],
            type=line["type"],
            verified=line["verified"],
            status=line["status"],
            body=hashlib.sha256(line["body"].encode()).hexdigest()[:16],
            outputs=[
                {name: output.get(name) for name in ("index", "nsfw", "uri", "sha256")}
                for output in body["data"]["outputs"]
            ],
        )


@asynccontextmanager
async def _reading(url: str) -> AsyncIterator[Reading]:
    ledger = Ledger(url, 3600, connections=AT_ONCE)
    try:
        yield ledger.reading
    finally:
        await ledger.aclose()


async def ledger(history: History, url: str, ids: Sequence[str], source: str = wavespeed.SOURCE) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def dump(reading: Reading, id_: str) -> None:
        ref = Ref(source, id_)
        async with places:
            try:
                found, error = await waited_out(lambda: reading.prediction(ref), id_), None
            except (ValueError, LookupError) as unreadable:
                found, error = None, repr(unreadable)
        history.write("ledger", prediction=id_, found=found, error=error)

    async with _reading(url) as reading:
        await asyncio.gather(*(dump(reading, id_) for id_ in ids))


async def sample(history: History, url: str) -> None:
    """How long the oldest due thing has been waiting."""
    async with _reading(url) as reading:
        scaling = await waited_out(reading.scaling, "scaling")
    due = {name: scaling[name] for name in ("backlog", "oldest_due_seconds")}
    history.write("sample", **due)


def standing(server: redis.Redis) -> dict[str, float]:
    """How many predictions are open and terminal, how many deliveries wait, and the server's time."""
    with server.pipeline(transaction=False) as pipe:
        for stage in Stage:
            pipe.zcard(keys.STAGE + stage)
        pipe.zcard(keys.DELIVERIES_WAITING)
        pipe.zcard(keys.DELIVERIES_ACTIVE)
        pipe.time()
        *found, waiting, active, (seconds, _) = pipe.execute()
    stages = dict(zip(Stage, found, strict=True))
    return {
        "open": sum(count for stage, count in stages.items() if stage not in TERMINAL),
        "terminal": sum(count for stage, count in stages.items() if stage in TERMINAL),
        "deliveries": waiting + active,
        "at": seconds,
    }


def deliveries_under_way(server: redis.Redis) -> int | None:
    """How many are being sent at this moment, and a few that begin before what we do about it."""
    try:
        active = server.zrange(keys.DELIVERIES_ACTIVE, 0, -1)
        with server.pipeline(transaction=False) as pipe:
            for id_ in active:
                pipe.hget(keys.DELIVERY + text(id_), "lease_until")
            leases = pipe.execute()
    except RedisError:
        return None
    return sum(lease is not None and float(lease) > clock.now() for lease in leases) + ABOUT_TO_BEGIN


def storage(history: History, root: Path) -> None:
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name not in _NOT_FILES:
            data = path.read_bytes()
            history.write(
                "file",
                path=path.relative_to(root).as_posix(),
                sha256=hashlib.sha256(data).hexdigest(),
                bytes=len(data),
            )


def endless_keys(history: History, server: redis.Redis) -> None:
    """Those that would live for ever."""
    names = list(server.scan_iter(count=1000))
    for at in range(0, len(names), 1000):
        some = names[at : at + 1000]
        with server.pipeline(transaction=False) as pipe:
            for name in some:
                pipe.ttl(name)
                pipe.type(name)
            found = pipe.execute()
        for name, ttl, type_ in zip(some, found[::2], found[1::2], strict=True):
            if ttl == -1:
                history.write("key", name=text(name), type=text(type_), ttl=-1)


def text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def processes(history: History, slots: Sequence[Slot], moment: str) -> None:
    for slot in slots:
        if (pid := slot.pid) is not None and slot.ready:
            for memory in _memory(pid):
                descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
                history.write(
                    "process", role=slot.name, moment=moment, descriptors=descriptors, memory=memory
                )


def _memory(pid: int) -> Iterator[int]:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            yield int(line.split()[1]) * 1024
