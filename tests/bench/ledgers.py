"""A ledger of any size, filled through the scripts that fill it in life, many calls to a round trip.

    python -m tests.bench.ledgers URL FIRST LAST

What has ended was accepted, leased, committed with its event, delivered to a hook, and is compact by now;
what is queued was accepted.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import redis

from service import clock, events, queues, wavespeed
from service.hooks.troubles import limit_of
from service.ledger import Arrival, Commit, Ledger, Note
from service.ledger.scripts import sources
from service.prediction import Ref, Stage, Step, Via
from service.signing import event_id
from tests.bench import callbacks
from tests.bench.contestants import PYTHON
from tests.builders import LEASE, RETENTION, hook, output
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis import Redis

    from tests.bench.processes import Server

HOOK = hook()
AT_ONCE = 200
PATIENCE = 600.0
COMPACT_AT_ONCE = 100
SAY_EVERY = 50_000
_ID = "template0"
_ANSWERED = (12, "", limit_of(12), "")
"""Milliseconds that it took, the answer, and what both come to."""
_LEASED, _TAKEN = "1", "2"
"""The tokens of a first lease, and of a first attempt: a delivery has one already before it is taken."""


class Templates:
    """Of what one prediction takes through its life; only its ids differ from those of the next."""

    def __init__(self) -> None:
        ref = Ref(wavespeed.SOURCE, _ID)
        report = wavespeed.report(json.loads(callbacks.body(_ID)))
        arrival = Arrival(ref, Via.CALLBACK, Step.CALLED_BACK, report, detail=report.status)
        self._arrival = arrival.encoded(clock.now())
        self._event, self._delivery = _event(_ID), events.delivery_id(_event(_ID), HOOK.name)
        outputs = [output(uri=f"file:///var/lib/catchlight/outputs/{callbacks.MODEL}/2026/01/02/{_ID}/0.png")]
        ended: dict[str, Any] = dict.fromkeys(("reason", "created_at", "finished_at"))
        ended |= {"id": _ID, "source": ref.source, "model": report.model, "status": report.status}
        ended |= {"stage": "done", "received_via": "callback", "metadata": {}, "outputs": outputs}
        told = events.of_prediction(ref, 1, ended, [HOOK], clock.now())
        notes = [Note(Step.JUDGED, "0 clean"), Note(Step.FETCHED, "0: 1000 bytes of image/png")]
        commit = Commit(Stage.DONE, outputs=outputs, events=told, notes=notes, manifest=True)
        self._commit = commit.argument(RETENTION)

    def arrival(self, id_: str) -> bytes:
        """Of an id as long as the template's: the arrival says how long its parts are."""
        if len(id_) != len(_ID):
            raise ValueError(f"{id_} is not as long as {_ID}")
        return self._arrival.replace(_ID.encode(), id_.encode())

    def commit(self, id_: str) -> bytes:
        ours = ((_ID, id_), (self._event, _event(id_)), (self._delivery, delivery(id_)))
        said = self._commit
        for theirs, here in ours:
            said = said.replace(theirs.encode(), here.encode())
        return said


def _event(id_: str) -> str:
    return event_id(wavespeed.SOURCE, id_, events.Kind.COMPLETED, "1")


def delivery(id_: str) -> str:
    return events.delivery_id(_event(id_), HOOK.name)


class Calls:
    """The arguments of the scripts, for `evalsha`, in the order of a life."""

    def __init__(self, client: Redis, templates: Templates) -> None:
        self._shas = {name: str(client.script_load(source)) for name, source in sources().items()}
        self._templates = templates

    def accept(self, ids: Sequence[str]) -> tuple[object, ...]:
        return self._call("accept", len(ids), *map(self._templates.arrival, ids))

    def lease(self, id_: str) -> tuple[object, ...]:
        return self._call("lease", ref(id_), LEASE, "bench", f"nonce-{id_}")

    def commit(self, id_: str) -> tuple[object, ...]:
        said = self._templates.commit(id_)
        return self._call("commit", ref(id_), Stage.WORKING, _LEASED, Stage.DONE, said)

    def deliver(self, id_: str) -> tuple[object, ...]:
        return self._call("deliver", delivery(id_), 20)

    def delivered(self, id_: str) -> tuple[object, ...]:
        said = ("delivered", 204, "", 0, 1, 0, RETENTION, *_ANSWERED)
        return self._call("delivered", delivery(id_), _TAKEN, *said)

    def other(self, name: str, *arguments: object) -> tuple[object, ...]:
        return self._call(name, *arguments)

    def _call(self, name: str, *arguments: object) -> tuple[object, ...]:
        return (self._shas[name], 0, "", clock.rfc3339(clock.now()), *arguments)


def ref(id_: str) -> str:
    return f"{wavespeed.SOURCE}:{id_}"


def fill(server: Server, ended: int, queued: int) -> None:
    """Nothing goes to the disk meanwhile; at the end all of it is there, and from then on every write is."""
    server.client.config_set("auto-aof-rewrite-percentage", 0)
    server.client.config_set("appendonly", "no")
    _fill_with_ended(server.url, ended)
    calls = Calls(server.client, Templates())
    for ids in _batches("q", 0, queued):
        server.client.evalsha(*calls.accept(ids))  # type: ignore[arg-type]  # as many as the script takes
    server.client.config_set("appendonly", "yes")
    wait_until(lambda: _is_on_disk(server.client), timeout=PATIENCE, what="the file is written")


def _is_on_disk(client: Redis) -> bool:
    said = client.info("persistence")
    return not said["aof_rewrite_in_progress"] and not said["aof_rewrite_scheduled"]


def _fill_with_ended(url: str, ended: int) -> None:
    """Two at once: what it takes is half ours and half the server's."""
    half = ended // 2
    with ExitStack() as stack:
        fillers = [
            stack.enter_context(subprocess.Popen([PYTHON, "-m", "tests.bench.ledgers", url, *map(str, part)]))
            for part in ((0, half), (half, ended))
        ]
    if any(filler.returncode for filler in fillers):
        raise RuntimeError("the ledger could not be filled")


async def fill_part(url: str, first: int, last: int) -> None:
    client = redis.Redis.from_url(url)
    calls = Calls(client, Templates())
    ledger = Ledger(url, RETENTION)
    began, said = time.monotonic(), first
    for ids in _batches("e", first, last):
        _live(client, calls, ids)
        await compact(ledger)
        if (here := int(ids[-1][1:]) + 1) >= said + SAY_EVERY:
            said = here
            took = time.monotonic() - began
            sys.stderr.write(f"{here - first:,} of {last - first:,} after {took:.0f} s\n")
    await ledger.aclose()


async def compact(ledger: Ledger) -> None:
    """All that has ended."""
    while (await ledger.compacting.compact(-1.0, COMPACT_AT_ONCE))[0]:
        pass


def _batches(letter: str, first: int, last: int) -> Iterator[list[str]]:
    for start in range(first, last, AT_ONCE):
        yield [f"{letter}{n:08d}" for n in range(start, min(start + AT_ONCE, last))]


def _live(client: Redis, calls: Calls, ids: Sequence[str]) -> None:
    """From the callback to the hook's answer; RQ's worker would take away the jobs."""
    with client.pipeline(transaction=False) as pipe:
        pipe.evalsha(*calls.accept(ids))  # type: ignore[arg-type]  # numbers too
        for id_ in ids:
            for one in (calls.lease, calls.commit, calls.deliver, calls.delivered):
                pipe.evalsha(*one(id_))  # type: ignore[arg-type]  # numbers too
        pipe.delete(f"rq:queue:{queues.QUEUE}")
        pipe.delete(*(f"rq:job:p-{wavespeed.SOURCE}-{id_}-1" for id_ in ids))
        pipe.delete(*(f"rq:job:d-{delivery(id_)}-1" for id_ in ids))
        pipe.execute()


if __name__ == "__main__":
    asyncio.run(fill_part(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
