"""The RQ side of the concurrent worker: takes, starts, finishes and fails jobs in batches, beats for them.

A subclass of RQ's worker, so that `rq info` and dashboards see it as one of theirs. It is synchronous and
runs in threads of its own; `workers.loop` runs the jobs. Compared to the stock worker: a whole batch is one
round trip; nothing that a job hash names is called or imported but the functions on our list; an unreadable
or hostile hash is set aside, not died of; and RQ's repairs, which call back what hashes name, are replaced
by the ledger's.
"""

from __future__ import annotations

import json
import threading
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import redis
import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel
from rq import worker_registration
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.results import Result
from rq.suspension import is_suspended
from rq.utils import now as rq_now
from rq.worker import BaseWorker

from service import clock, failpoints, keys, queues, sentinels
from service.ledger.connection import PLAIN
from workers.doorbell import DATA_MOST, EXTRAS, HostileJobError, Seen, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.client import Pipeline

log = structlog.get_logger("work")

BEAT_EVERY = 2.0
BEAT_TTL = 8
"""A worker that missed four beats is gone; RQ's own default is 420 s."""
ANSWER_TIMEOUT = 5.0
ASIDE_TTL = 7 * 86_400
ASIDE_MOST = 1_000
STRANDED_AFTER = 60.0

GONE = (redis.ConnectionError, redis.TimeoutError, redis.ResponseError)
"""What Redis raises when it is away, full or loading."""

# One look at all jobs of a batch that never loads more than a call may have: a hash may hold gigabytes.
_LOOK = """
local most = tonumber(ARGV[1])
local seen = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  seen[i] = {kind}
  if kind == 'hash' then
    local extras = {}
    for n = 2, #ARGV do
      if redis.call('HSTRLEN', key, ARGV[n]) > 0 then extras[#extras + 1] = ARGV[n] end
    end
    local size = redis.call('HSTRLEN', key, 'data')
    local data = size > 0 and size <= most and redis.call('HGET', key, 'data') or ''
    seen[i] = {kind, table.concat(extras, ' '), size, data}
  end
end
return seen
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A job that is ours to run."""

    job: Job
    execution: Execution
    function: str
    args: tuple[str, ...]


def connect(url: str) -> Redis:
    """A synchronous client for RQ's bookkeeping, which never hangs for long.

    It repeats a command when the connection broke, not after a time-out: the first may still be running.
    """
    deadlines = {"socket_timeout": ANSWER_TIMEOUT, "socket_connect_timeout": 2, **PLAIN}
    once_more = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    if watched := sentinels.watched(url):
        asked: Any = Sentinel
        of_sentinels = asked(watched.sentinels, sentinel_kwargs=deadlines | watched.to_sentinels())
        found: Redis = of_sentinels.master_for(
            watched.name, retry=once_more, **deadlines, **watched.to_redis()
        )
        return found
    return Redis.from_url(url, retry=once_more, **deadlines)


class ConcurrentWorker(BaseWorker):
    log_result_lifespan = False

    def __init__(self, connection: Redis, name: str) -> None:
        self.queue = queues.queue(connection)
        super().__init__(
            [self.queue],
            name=name,
            connection=connection,
            serializer=queues.SERIALIZER,
            worker_ttl=BEAT_TTL,
            default_result_ttl=queues.RESULT_TTL,
            log_job_description=False,
        )
        self.birth_date = rq_now()
        self._started = StartedJobRegistry(queue=self.queue)
        self._failed = FailedJobRegistry(queue=self.queue)
        self._look = connection.register_script(_LOOK)
        self._tidied_at: float | None = None

    def _set_connection(self, connection: Redis) -> Redis:
        """RQ would raise the client's deadline to minutes; ours stands."""
        return connection

    def take(self, most: int, wait: float) -> list[Taken]:
        """Up to `most` jobs, started in RQ's eyes; waits up to `wait` seconds for the first.

        Through RQ's intermediate list, so that a kill at any point leaves the id where somebody finds it.
        """
        if is_suspended(self.connection):
            threading.Event().wait(wait)
            return []
        source, shelf = self.queue.key, self.queue.intermediate_queue_key
        with self.connection.pipeline(transaction=False) as pipe:
            for _ in range(most):
                pipe.lmove(source, shelf)
            ids = [found for found in pipe.execute() if found is not None]
        if not ids and wait:
            # The stubs know only whole seconds.
            found = self.connection.blmove(source, shelf, cast("int", wait))
            ids = [] if found is None else [found]
        failpoints.reach_in_thread("take.before_start")
        return self._start(ids) if ids else []

    def _start(self, ids: Sequence[bytes]) -> list[Taken]:
        prefix = Job.redis_job_namespace_prefix.encode()
        job_keys = [prefix + raw for raw in ids]
        looks = cast("list[list[object]]", self._look(keys=job_keys, args=[DATA_MOST, *EXTRAS]))
        taken = []
        with self.connection.pipeline() as pipe:
            for raw, key, look in zip(ids, job_keys, looks, strict=True):
                seen = _seen(look)
                try:
                    if seen.kind != "none":
                        taken.append(self._begin(raw, seen, pipe))
                except ValueError as error:
                    self._set_aside(key, str(error), pipe)
                pipe.lrem(self.queue.intermediate_queue_key, 1, cast("str", raw))
            if taken:
                self._mark(pipe, busy=True)
            pipe.execute()
        return taken

    def _begin(self, raw: bytes, seen: Seen, pipe: Pipeline) -> Taken:
        """Raises ValueError (HostileJobError) for whatever is not a job that we would have written."""
        try:
            name = raw.decode("ascii")
        except UnicodeDecodeError as error:
            raise HostileJobError("has a name that is not ASCII") from error
        bell = read(seen)
        # Made anew from what was checked: nothing else of the hash has a say.
        job = Job.create(
            bell.function,
            bell.args,
            id=name,
            connection=self.connection,
            origin=self.queue.name,
            timeout=queues.JOB_TIMEOUT,
            result_ttl=queues.RESULT_TTL,
            failure_ttl=queues.FAILURE_TTL,
            serializer=queues.SERIALIZER,
        )
        execution = Execution.create(job, BEAT_TTL, pipeline=pipe, worker_name=self.name)
        job.prepare_for_execution(self.name, pipeline=pipe)
        pipe.expire(job.key, queues.FAILURE_TTL)
        return Taken(job, execution, bell.function, bell.args)

    def _set_aside(self, key: bytes, why: str, pipe: Pipeline) -> None:
        name = key.decode("ascii", "backslashreplace").removeprefix(Job.redis_job_namespace_prefix)[:200]
        log.warning("job.set_aside", job=name, why=why)
        pipe.lpush(keys.ASIDE, json.dumps({"job": name, "why": why, "at": clock.now()}))
        pipe.ltrim(keys.ASIDE, 0, ASIDE_MOST - 1)
        pipe.expire(keys.ASIDE, ASIDE_TTL)
        pipe.expire(key, ASIDE_TTL)

    def finish(self, done: Sequence[Taken]) -> None:
        """Success leaves nothing behind: the ledger has it all."""
        failpoints.reach_in_thread("finish.before")
        now = clock.now()
        with self.connection.pipeline() as pipe:
            for one in done:
                one.execution.delete(job=one.job, pipeline=pipe)
                pipe.delete(one.job.key, one.job.dependents_key, one.job.dependencies_key)
            worked = sum(now - one.execution.created_at.timestamp() for one in done)
            pipe.hincrby(self.key, "successful_job_count", len(done))
            pipe.hincrbyfloat(self.key, "total_working_time", worked)
            pipe.expire(self.key, BEAT_TTL)
            pipe.execute()

    def fail(self, one: Taken, error: BaseException) -> None:
        """The traceback goes to RQ's failed-job registry for a week; callbacks and dependents go nowhere."""
        job, text = one.job, "".join(traceback.format_exception(error))
        job.ended_at = rq_now()
        with self.connection.pipeline() as pipe:
            one.execution.delete(job=job, pipeline=pipe)
            job.set_status(JobStatus.FAILED, pipeline=pipe)
            self._failed.add(job, ttl=queues.FAILURE_TTL, exc_string=text, pipeline=pipe)
            Result.create_failure(
                job,
                queues.FAILURE_TTL,
                exc_string=text,
                worker_name=self.name,
                pipeline=pipe,
                execution_id=one.execution.id,
                execution_started_at=one.execution.created_at,
                execution_ended_at=job.ended_at,
            )
            pipe.hincrby(self.key, "failed_job_count", 1)
            pipe.expire(self.key, BEAT_TTL)
            pipe.execute()

    def beat(self, running: Sequence[Taken]) -> None:
        """Be alive in RQ's eyes, with what runs. All of it each time: a flush may have taken it away."""
        self.last_heartbeat = rq_now()
        with self.connection.pipeline() as pipe:
            pipe.hset(self.key, mapping=self.serialize())
            worker_registration.register(self, pipe)
            self._mark(pipe, busy=bool(running))
            pipe.expire(self.executions_key, BEAT_TTL)
            for one in running:
                one.execution.heartbeat(self._started, BEAT_TTL, pipeline=pipe)
            pipe.execute()

    def leave(self) -> None:
        with self.connection.pipeline() as pipe:
            worker_registration.unregister(self, pipe)
            pipe.delete(self.key, self.executions_key)
            pipe.execute()

    def _mark(self, pipe: Pipeline, *, busy: bool) -> None:
        self.set_state("busy" if busy else "idle", pipeline=pipe)
        pipe.expire(self.key, BEAT_TTL)

    def tidy(self) -> None:
        """Drop what killed workers left in RQ's lists. Their predictions are the ledger's to ring again."""
        now = clock.now()
        if self._tidied_at is not None and 0 <= now - self._tidied_at < STRANDED_AFTER / 2:
            return
        self._tidied_at = now
        shelf = self.queue.intermediate_queue_key
        ids = cast("list[bytes]", self.connection.lrange(shelf, 0, 999))
        with self.connection.pipeline(transaction=False) as pipe:
            for raw in ids:
                pipe.hget(Job.redis_job_namespace_prefix.encode() + raw, "pushed_at")
            pushed = pipe.execute(raise_on_error=False)
        with self.connection.pipeline() as pipe:
            for raw, at in zip(ids, pushed, strict=True):
                if _older(at, now - STRANDED_AFTER):
                    pipe.lrem(shelf, 1, cast("str", raw))
            pipe.zremrangebyscore(self._started.key, 0, now - STRANDED_AFTER)
            pipe.zremrangebyscore(self._failed.key, 0, now)
            pipe.execute()
        worker_registration.clean_worker_registry(self.queue)


def _seen(look: list[object]) -> Seen:
    kind, *rest = look
    if not rest:
        return Seen(cast("bytes", kind).decode())
    extras, size, data = rest
    return Seen("hash", cast("bytes", extras).decode(), cast("int", size), cast("bytes", data))


def _older(at: object, instant: float) -> bool:
    """Whatever is no instant is older than all of them."""
    try:
        return not float(cast("bytes", at)) > instant
    except (TypeError, ValueError):
        return True
