"""What a genuine callback does: what of it is believed, and what the answer promises."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest
import redis

from service import queues
from service.ledger import Commit, Ledger
from service.prediction import Reason, Ref, Stage
from tests.serving import PATH, callback, own_redis, polled_at, serving, sign, stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.serving import Served

pytestmark = pytest.mark.anyio

GOOD = callback()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty(redis_url: str) -> None:
    """Every test begins with an empty ledger."""


async def test_a_callback_is_new_and_then_known(server: Served) -> None:
    answers = [await server.call_back(GOOD) for _ in range(3)]
    assert [answer.json() for answer in answers] == [
        {"id": "pred_1", "outcome": outcome} for outcome in ("new", "known", "known")
    ]


async def test_the_envelope_is_the_same_prediction(server: Served) -> None:
    await server.call_back(GOOD)
    wrapped = json.dumps({"code": 200, "message": "ok", "data": json.loads(GOOD)}).encode()
    assert (await server.call_back(wrapped)).json() == {"id": "pred_1", "outcome": "known"}


async def test_two_predictions_under_one_webhook_id_are_two(server: Served, redis_url: str) -> None:
    for id_ in ("a", "b"):
        body = callback(id_)
        answer = await server.call_back(body, sign(body, message="the-same"))
        assert answer.json() == {"id": id_, "outcome": "new"}
    assert stored(redis_url, "a")["stage"] == stored(redis_url, "b")["stage"] == "accepted"


async def test_a_completion_advances_what_was_tracked(server: Served) -> None:
    await server.client.post("/api/v1/predictions/pred_1/track")
    assert (await server.call_back(GOOD)).json()["outcome"] == "advanced"


async def test_a_completion_supersedes_a_failure_and_not_the_other_way_round(server: Served) -> None:
    said = ["failed", "completed", "failed"]
    outcomes = [(await server.call_back(callback(status=status))).json()["outcome"] for status in said]
    assert outcomes == ["new", "advanced", "known"]


@pytest.mark.parametrize("status", ["processing", "created", "brand-new-word"])
async def test_a_status_that_is_no_end_is_awaited_and_polled_at_once(
    server: Served, redis_url: str, status: str
) -> None:
    answer = await server.call_back(callback(status=status))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "new")
    record = stored(redis_url, "pred_1")
    assert (record["stage"], record["status"]) == ("awaited", status)
    assert (polled_at(redis_url, "pred_1") or 1e12) <= time.time()


@pytest.mark.parametrize("off", [-302, 305, -1_700_000_000])
async def test_a_genuine_callback_out_of_time_is_awaited_at_once_and_not_believed(
    server: Served, redis_url: str, off: int
) -> None:
    answer = await server.call_back(GOOD, sign(GOOD, at=max(time.time() + off, 0)))
    assert (answer.status_code, answer.json()) == (202, {"id": "pred_1", "outcome": "stale"})
    record = stored(redis_url, "pred_1")
    assert (record["stage"], record["status"]) == ("awaited", "")
    assert "payload" not in record
    assert (polled_at(redis_url, "pred_1") or 1e12) <= time.time()


async def test_a_stale_callback_hastens_the_poll_of_what_is_awaited(server: Served, redis_url: str) -> None:
    await server.client.post("/api/v1/predictions/pred_1/track")
    assert (polled_at(redis_url, "pred_1") or 0) > time.time() + 30
    await server.call_back(GOOD, sign(GOOD, at=1_700_000_000))
    assert (polled_at(redis_url, "pred_1") or 1e12) <= time.time()


async def test_a_stale_callback_leaves_what_has_ended_as_it_is(server: Served, redis_url: str) -> None:
    await server.call_back(GOOD)
    ledger, ref = Ledger(redis_url, 8e5), Ref("wavespeed", "pred_1")
    record = await ledger.predictions.lease(ref, 10, "worker")
    assert record
    await ledger.predictions.commit(ref, Stage.WORKING, record.token, Commit(Stage.DEAD, Reason.OUTPUTS_BAD))
    await ledger.aclose()
    answer = await server.call_back(GOOD, sign(GOOD, at=1_700_000_000))
    assert (answer.status_code, answer.json()["outcome"]) == (202, "stale")
    assert stored(redis_url, "pred_1")["stage"] == "dead"
    assert polled_at(redis_url, "pred_1") is None


async def test_an_answered_callback_is_recorded_and_queued(server: Served, redis_url: str) -> None:
    await server.call_back(GOOD)
    assert stored(redis_url, "pred_1")["stage"] == "accepted"
    with redis.Redis.from_url(redis_url) as client:
        assert queues.queue(client).job_ids == ["p-wavespeed-pred_1-1"]


async def test_an_answered_callback_is_in_the_file_that_outlives_the_server(tmp_path: Path) -> None:
    with own_redis(tmp_path) as own:
        async with serving(own.url) as server:
            for number in range(5):
                assert (await server.call_back(callback(f"durable-{number}"))).status_code == 200
                written = b"".join(file.read_bytes() for file in own.files.rglob("*.aof"))
                assert b"durable-%d" % number in written


async def test_many_callbacks_at_once_share_a_few_writes(server: Served, redis_url: str) -> None:
    await server.call_back(callback("warm"))
    waiting = []
    for number in range(256):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        body = callback(f"p{number}")
        head = "".join(f"{n}: {v}\r\n" for n, v in (sign(body) | {"content-length": str(len(body))}).items())
        writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + body[:-1])
        waiting.append((reader, writer))
    with redis.Redis.from_url(redis_url) as client:
        client.config_resetstat()
        for _, writer in waiting:
            writer.write(b"}")
        answers = await asyncio.gather(*(reader.readuntil(b'"new"}') for reader, _ in waiting))
        scripts = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    for _, writer in waiting:
        writer.close()
    assert len(answers) == 256
    assert scripts <= 12


async def test_whoever_hangs_up_leaves_nothing_behind(server: Served, redis_url: str) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = "".join(f"{n}: {v}\r\n" for n, v in (sign(GOOD) | {"content-length": str(len(GOOD))}).items())
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + GOOD[:-5])
    await writer.drain()
    writer.close()
    assert (await server.call_back(callback("other"))).status_code == 200
    assert stored(redis_url, "pred_1") == {}


async def test_a_status_of_a_megabyte_leaves_a_short_line_in_the_timeline(redis_url: str) -> None:
    async with serving(redis_url) as server:
        await server.call_back(callback(status="busy\n" * 200_000))
        shown = (await server.client.get("/api/v1/predictions/pred_1")).json()
    assert [len(line["detail"]) for line in shown["timeline"]] == [200]
