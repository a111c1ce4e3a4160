"""What an ended prediction costs in Redis: at most 2 KiB once it is compact, on both servers as they come."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import redis

from service import clock, embedded, events, wavespeed
from service.hooks import Delivered
from service.ledger import Arrival, Commit, Ledger, Note
from service.ledger.callback_headers import CallbackHeaders
from service.prediction import Disposition, Nsfw, Ref, Stage, Step, Via
from tests import shipped
from tests.builders import LEASE, RETENTION, hook
from workers.outputs import Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from service.events import Event
    from service.ledger import PredictionRecord

MOST = 2048
HOOK = hook()
MANY = 1_000


def command(kind: str, folder: Path, port: int) -> list[str]:
    """As we start the embedded one; another as its distribution has it, but for its files."""
    ours = embedded.command(folder, port)
    if kind == "valkey":
        return ours
    files = ("--port", str(port), "--dir", str(folder), "--save", "", "--daemonize", "no")
    return [str(shutil.which("redis-server")), *files]


@pytest.fixture(params=shipped.BOTH)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    port = embedded.free_port()
    process = subprocess.Popen(command(request.param, tmp_path, port), stdout=subprocess.DEVNULL)
    try:
        embedded.wait_ready(port)
        yield embedded.url(port)
    finally:
        process.kill()
        process.wait()


def payload(id_: str) -> dict[str, Any]:
    """Seven hundred bytes, as the provider's documentation has them."""
    return {
        "id": id_,
        "model": "acme-ai/flux-dev",
        "outputs": [f"https://d1q70pf5vjeyhc.cloudfront.net/predictions/{id_}/1.png"],
        "urls": {"get": f"https://api.acme.example/api/v3/predictions/{id_}/result"},
        "has_nsfw_contents": [False],
        "status": "completed",
        "created_at": "2026-11-25T14:00:00.123Z",
        "error": "",
        "executionTime": 5231,
        "timings": {"inference": 5102},
        "input": {
            "prompt": "An old lighthouse at dusk, waves breaking on the rocks, long exposure, film grain",
            "size": "1024*1024",
            "seed": -1,
            "num_inference_steps": 28,
            "guidance_scale": 3.5,
            "enable_safety_checker": True,
            "output_format": "png",
        },
    }


async def typical(ledger: Ledger, number: int) -> None:
    """Called back, fetched, stored, told to one hook and delivered, as a worker writes it."""
    id_ = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    ref = Ref("acme", id_)
    report = wavespeed.report(payload(id_))
    headers = CallbackHeaders(id_, "1764338400", "acme-webhooks/1.4 (acme.example)", "application/json")
    arrival = Arrival(ref, Via.CALLBACK, Step.CALLED_BACK, report, detail="completed", headers=headers)
    await ledger.predictions.write([arrival.encoded(clock.now())])
    record = await ledger.predictions.lease(ref, LEASE, "worker-7d9f-1234-a1b2c3")
    assert record is not None
    key = f"{record.model.replace('/', '_')}/2026/11/25/{id_}/0.png"
    output = Output(
        0, Nsfw.CLEAN, record.payload["outputs"][0], Disposition.STORED, key, f"s3://outputs/production/{key}",
        hashlib.sha256(key.encode()).hexdigest(), 1_000_000 + number, "image/png", 1024, 1024,
    )  # fmt: skip
    notes = [
        Note(Step.JUDGED, "0 clean"),
        Note(Step.FETCHED, f"0: {output.bytes} bytes of image/png"),
        Note(Step.STORED, output.uri or ""),
    ]
    told = said(record, output)
    commit = Commit(Stage.DONE, outputs=[output.stored()], manifest=True, notes=notes, events=told)
    await ledger.predictions.commit(ref, Stage.WORKING, record.token, commit)
    for one in told[0].deliveries():
        taken = await ledger.deliveries.take(one["id"], 20)
        assert taken is not None
        await ledger.deliveries.attempted(taken, Delivered(), status=200, error="", now=clock.now())


async def several(ledger: Ledger, numbers: Sequence[int]) -> None:
    """Ten at a time, so that one fsync serves ten."""
    for first in range(0, len(numbers), 10):
        await asyncio.gather(*(typical(ledger, number) for number in numbers[first : first + 10]))


def said(record: PredictionRecord, output: Output) -> list[Event]:
    ended = record.public() | {"stage": Stage.DONE, "finished_at": clock.rfc3339(clock.now())}
    public = {
        name: getattr(output, name) for name in ("index", "disposition", "nsfw", "uri", "sha256", "bytes")
    }
    more = {name: getattr(output, name) for name in ("media_type", "width", "height", "error")}
    return events.of_prediction(record.ref, 1, ended | {"outputs": [public | more]}, [HOOK], clock.now())


def rq_has_finished(client: redis.Redis) -> None:
    """What a worker leaves of a job: nothing."""
    found = [key for key in client.scan_iter("rq:*", count=1000) if key != b"rq:queues"]
    if found:
        client.delete(*found)


async def all_compact(ledger: Ledger) -> int:
    done = 0
    while (looked_done := await ledger.compacting.compact(0, 50))[0]:
        done += looked_done[1]
    return done


def test_a_typical_prediction_costs_at_most_two_kibibytes_when_it_is_compact(server: str) -> None:
    async def story() -> float:
        ledger = Ledger(server, RETENTION)
        with redis.Redis.from_url(server) as client:

            def used() -> int:
                rq_has_finished(client)
                return min(int(client.info("memory")["used_memory"]) for _ in range(5))

            await several(ledger, range(-20, 0))
            await all_compact(ledger)
            before = used()
            await several(ledger, range(MANY))
            assert used() - before > 2 * MOST * MANY, "it was large before"
            assert await all_compact(ledger) == MANY
            after = used()
        await ledger.aclose()
        return (after - before) / MANY

    assert asyncio.run(story()) <= MOST


def test_a_full_server_gets_room_by_it(server: str) -> None:
    async def story() -> int:
        ledger = Ledger(server, RETENTION)
        for number in range(20):
            await typical(ledger, number)
        with redis.Redis.from_url(server) as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1mb")
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                client.set("anything", "x")
            done = await all_compact(ledger)
        await ledger.aclose()
        return done

    assert asyncio.run(story()) == 20
