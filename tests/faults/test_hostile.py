"""F19: what no code of ours has written is set aside, and stops no worker and no prediction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from service import keys, queues
from tests.faults.family import Family
from tests.faults.load import Load
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import redis

    from tests.faults.chance import Chance

JOB = "rq:job:"
QUEUE = f"rq:queue:{queues.QUEUE}"


def call(function: str, *args: Any, instance: Any = None, kwargs: Any = None) -> dict[str, str | bytes]:
    """A job hash as RQ would write it."""
    data = json.dumps([function, instance, list(args), kwargs or {}])
    return {**queues.job_fields(function), "data": data, "created_at": "2026-01-01T00:00:00.000000Z"}


HOSTILE: Mapping[str, Mapping[str, str | bytes]] = {
    "system": call("os.system", "true"),
    "dunder": call("builtins.eval", "1"),
    "near": call("workers.jobs.process_prediction_", "a", "b"),
    "instance": call(queues.PROCESS, "a", "b", instance="os"),
    "kwargs": call(queues.PROCESS, kwargs={"source": "x"}),
    "numbers": call(queues.PROCESS, 1, 2),
    "no-arguments": call(queues.PROCESS),
    "many-arguments": call(queues.PROCESS, "a", "b", "c"),
    "colons": call(queues.PROCESS, "a:b", "c:d"),
    "unknown-id": call(queues.PROCESS, "nobody", "nothing"),
    "unknown-delivery": call(queues.DELIVER, "dlv_nothing"),
    "pickle": call(queues.PROCESS) | {"data": b"\x80\x04\x95\x1a\x00\x00\x00\x8c\x02os\x94."},
    "deep": call(queues.PROCESS) | {"data": "[" * 100_000},
    "not-utf8": call(queues.PROCESS) | {"data": b"\xff\xfe"},
    "bare": {"data": "x"},
    "no-data": {"status": "queued"},
    "callback": call(queues.PROCESS, "a", "b") | {"success_callback_name": "os.abort"},
    "dependents": call(queues.PROCESS, "a", "b") | {"dependency_ids": '["x"]'},
    "bad-dates": call(queues.PROCESS, "a", "b") | {"created_at": "yesterday", "enqueued_at": "\0"},
    "bad-numbers": call(queues.PROCESS, "a", "b") | {"timeout": "never", "result_ttl": "1e999"},
    "bad-status": call(queues.PROCESS, "a", "b") | {"status": "on fire"},
    "newline\nin its name": call("os.system", "true"),
}


def plant_jobs(server: redis.Redis) -> None:
    for name, fields in HOSTILE.items():
        server.hset(JOB + name, mapping=dict(fields))  # type: ignore[arg-type]  # bytes and str, as Redis takes them
        server.lpush(QUEUE, name)
    for name, plant in (("a-string", server.set), ("a-list", server.lpush)):
        plant(JOB + name, "x")
        server.lpush(QUEUE, name)
    server.lpush(QUEUE, "no-hash", b"\xff\xfe\x00", "")


def plant_records(server: redis.Redis) -> list[str]:
    """Corrupt entries of the ledger, due at once; returns their keys."""
    due = {"no colon": 1, ":": 1, "source:": 1, "source:gone": 1, "source:text": 1, "source:empty": 1}
    server.zadd(keys.DUE_WORK, due)
    server.zadd(keys.DUE_POLL, due | {"source:half": 1})
    server.zadd(keys.DELIVERIES_ACTIVE, {"dlv_gone": 1, "dlv_text": 1, "dlv_half": 1})
    server.zadd(keys.DELIVERIES_WAITING, {"dlv_gone": 1, "dlv_text": 1, "dlv_half": 1})
    planted = [keys.PREDICTION + name for name in ("source:text", "source:empty", "source:half")]
    planted += [keys.DELIVERY + name for name in ("dlv_text", "dlv_half")]
    for name in planted:
        if name.endswith("text"):
            server.set(name, "not a hash")
        else:
            server.hset(name, mapping={"stage": "working", "state": "pending", "known_at": "soon"})
    return planted


def test_f19_hostile_jobs_and_corrupt_entries_cost_no_worker_and_no_prediction(
    tmp_path: Path, chance: Chance
) -> None:
    with Family(tmp_path, chance.seed, ways=()) as family:
        load = Load(family, chance, 60, 20)
        load.reached(10)
        plant_jobs(family.redis)
        planted = plant_records(family.redis)
        load.wait()
        wait_until(lambda: not family.redis.llen(QUEUE), what="the queue is worked off")
        wait_until(lambda: due_now(family.redis) == 0, 20, "nothing corrupt is due for ever")
        family.redis.delete(*planted)
        family.redis.zrem(keys.DELIVERIES_ACTIVE, "dlv_half", "dlv_text", "dlv_gone")
        family.redis.zrem(keys.DELIVERIES_WAITING, "dlv_half", "dlv_text", "dlv_gone")
        account = family.ends_well()
        aside = " ".join(str(line) for line in family.redis.lrange(keys.ASIDE, 0, -1))
    assert [line for line in account.by_what["exit"] if line["target"] != "redis"] == []
    for name in ("system", "pickle", "callback", "instance"):
        assert name in aside


def due_now(server: redis.Redis) -> int:
    """Entries that were due at the beginning of time and still are."""
    places = (keys.DUE_WORK, keys.DUE_POLL, keys.DELIVERIES_WAITING, keys.DELIVERIES_ACTIVE)
    return sum(int(server.zcount(place, 0, 1_000)) for place in places)
