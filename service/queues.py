"""Where RQ jobs are made: one queue, JSON, and a template that the ledger's scripts write as job hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import redis
from rq import Queue
from rq.defaults import RQ_KEY_PREFIX
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

if TYPE_CHECKING:
    from collections.abc import Mapping

QUEUE = "catchlight"
KEY = Queue.redis_queue_namespace_prefix + QUEUE
"""Of the list of what waits in it."""
PROCESS = "workers.jobs.process_prediction"
DELIVER = "workers.jobs.deliver_event"

SERIALIZER = JSONSerializer
# A job is a doorbell: it carries an id and may ring twice. The ledger retries, so RQ keeps nothing of a
# success, and a failure for a week.
RESULT_TTL = 0
FAILURE_TTL = 7 * 86_400
JOB_TIMEOUT = 6 * 3_600
"""Seconds. Far above any fetch deadline: the ledger's lease ends a stuck job, RQ's timer is a last resort."""

REGISTRIES = {"started": f"{RQ_KEY_PREFIX}:wip:{QUEUE}", "failed": f"{RQ_KEY_PREFIX}:failed:{QUEUE}"}
"""RQ's word → the key of those jobs, whose length is read past RQ: asking a registry cleans it up.

We leave none in the others (finished, deferred, scheduled).
"""

_OFFLINE = redis.Redis()  # a Job needs a connection object to exist; this one is never used


def queue(connection: redis.Redis) -> Queue:
    return Queue(QUEUE, connection=connection, serializer=SERIALIZER)


def job_fields(function: str) -> Mapping[str, str]:
    """The constant fields of a queued job's hash, as RQ itself would write them, but for the empty ones.

    What differs from job to job (`data`, `description`, `created_at`, `enqueued_at`) the script fills in.
    """
    job = Job.create(
        function,
        connection=_OFFLINE,
        origin=QUEUE,
        timeout=JOB_TIMEOUT,
        result_ttl=RESULT_TTL,
        failure_ttl=FAILURE_TTL,
        status=JobStatus.QUEUED,
        serializer=SERIALIZER,
    )
    fields = cast("dict[str, Any]", job.to_dict(include_meta=False, include_result=False))
    varying = {"data", "description", "created_at", "enqueued_at"}
    # An enum's str() is its qualified name; RQ writes the bare value.
    texts = {
        name: str(getattr(value, "value", value)) for name, value in fields.items() if name not in varying
    }
    # To RQ an empty field and none are the same, and a callback writes a job.
    return {name: text for name, text in texts.items() if text}


def lua() -> str:
    """RQ's names and the job templates as Lua constants, put in front of every script."""

    def table(fields: Mapping[str, str]) -> str:
        return "{" + ", ".join(f'"{name}", "{value}"' for name, value in fields.items()) + "}"

    probe = queue(_OFFLINE)
    return (
        f'local RQ = {{queue = "{probe.key}", queues = "{Queue.redis_queues_keys}", '
        f'job = "{Job.redis_job_namespace_prefix}", process = "{PROCESS}", deliver = "{DELIVER}"}}\n'
        f"local PROCESS_JOB = {table(job_fields(PROCESS))}\n"
        f"local DELIVER_JOB = {table(job_fields(DELIVER))}\n"
    )
