from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, cast

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from service import clock, queues
from tests.builders import accept, callback, completed, finish, hook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.ledger import Ledger

pytestmark = pytest.mark.anyio

WRITTEN_BY_US = {b"pushed_at", b"pushed"}


@pytest.fixture
def connection(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


async def test_the_script_writes_a_job_as_rq_itself_would(ledger: Ledger, connection: Redis) -> None:
    await accept(ledger, callback(completed()))
    job = Job.fetch("p-main-p1-1", connection=connection, serializer=JSONSerializer)
    assert (job.func_name, job.args, job.kwargs) == ("workers.jobs.process_prediction", ["main", "p1"], {})
    assert (job.timeout, job.result_ttl, job.failure_ttl) == (6 * 3600, 0, 7 * 86_400)
    assert (job.get_status(), job.origin) == (JobStatus.QUEUED, "catchlight")
    assert job.description == "process main p1"
    assert job.enqueued_at is not None
    assert abs(job.enqueued_at.timestamp() - clock.now()) < 60
    assert 0 < connection.ttl(job.key) <= 7 * 86_400


async def test_the_hash_says_byte_for_byte_what_rqs_own_says_but_for_what_is_empty(
    ledger: Ledger, connection: Redis
) -> None:
    await accept(ledger, callback(completed()))
    ours = cast("dict[bytes, bytes]", connection.hgetall("rq:job:p-main-p1-1"))
    theirs = queues.queue(connection).enqueue_call(
        queues.PROCESS,
        args=("main", "p1"),
        timeout=queues.JOB_TIMEOUT,
        result_ttl=queues.RESULT_TTL,
        failure_ttl=queues.FAILURE_TTL,
        description="process main p1",
    )
    said = cast("dict[bytes, bytes]", connection.hgetall(theirs.key))
    written = {name: value for name, value in said.items() if value}
    assert set(ours) - set(written) == WRITTEN_BY_US
    differ = {name for name in written if ours[name] != written[name]}
    assert differ <= {b"created_at", b"enqueued_at", b"data"}
    # RQ deflates what it writes and takes either; the order and the spelling of the call are the same.
    assert json.dumps(json.loads(ours[b"data"])).encode() == zlib.decompress(written[b"data"])


async def test_rqs_own_queue_lists_what_the_scripts_pushed(ledger: Ledger, connection: Redis) -> None:
    await accept(ledger, callback(completed("p1")), callback(completed("p2")))
    await finish(ledger, "p1", hooks=[hook()])
    queue = queues.queue(connection)
    assert queue in Queue.all(connection, serializer=JSONSerializer)
    functions = [job.func_name for job in queue.jobs]
    assert functions == [queues.DELIVER, queues.PROCESS, queues.PROCESS]
    assert queue.jobs[0].args[0].startswith("dlv_")


async def test_every_ring_is_a_job_of_its_own(ledger: Ledger, connection: Redis) -> None:
    await accept(ledger, callback(completed()))
    await finish(ledger)
    await ledger.predictions.replay(callback(completed()).ref)
    assert queues.queue(connection).job_ids == ["p-main-p1-1", "p-main-p1-2"]


def test_a_template_asks_for_no_more_than_a_call() -> None:
    fields = queues.job_fields(queues.DELIVER)
    assert not [name for name, value in fields.items() if ("callback" in name or "depend" in name) and value]
    assert fields["status"] == "queued"
    assert fields["origin"] == queues.QUEUE


def test_with_another_key_prefix_every_name_of_rqs_has_it() -> None:
    """RQ reads the variable once, when it is loaded: this takes a process of its own."""
    prefix = "{shop}:rq"
    asked = "from service import queues as q; print(q.lua(), q.KEY, *q.REGISTRIES.values())"
    ran = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "RQ_KEY_PREFIX": prefix},
        capture_output=True,
        text=True,
        check=True,
    )
    names = re.findall(r'[^\s"]*rq:(?:queue|queues|job|wip|failed)\b', ran.stdout)
    assert len(names) >= 6
    assert all(name.startswith(f"{prefix}:") for name in names), names
