"""Hostile RQ jobs by their id, as a stranger with a way to Redis could leave them in the queue."""

from __future__ import annotations

import json
import pickle
import zlib
from typing import TYPE_CHECKING, Any

from service import queues

if TYPE_CHECKING:
    import redis

JOB = b"rq:job:"
QUEUE = f"rq:queue:{queues.QUEUE}"

Fields = dict[str, str | bytes]


def call(function: object, *args: object, instance: object = None, kwargs: object = None) -> Fields:
    """A job hash as RQ would write it."""
    return hash_of(json.dumps([function, instance, list(args), kwargs or {}]))


def hash_of(data: str | bytes, **more: str | bytes) -> Fields:
    ours = dict(queues.job_fields(queues.PROCESS))
    return {**ours, "created_at": "2026-01-01T00:00:00.000000Z", "data": data, **more}


def refused(command: str = "true") -> dict[bytes, Fields]:
    """What is set aside; `command` is what a shell would run for those who believe them."""
    shell = json.dumps(["os.system", None, [command], {}])
    ours = json.dumps([queues.PROCESS, None, ["main", "x"], {}])
    asks_for_more: dict[str, Fields] = {
        "callback": {"success_callback_name": "os.system", "failure_callback_name": "os.system"},
        "stopped": {"stopped_callback_name": "os.system"},
        "webhooks": {"webhooks": '[{"url": "http://127.0.0.1:9"}]'},
        "dependents": {"dependency_ids": '["system"]'},
        "dependent": {"dependency_id": "system"},
        "grouped": {"group_id": "g"},
        "limited": {"rate_limit_key": "k", "rate_limit_concurrency": "1"},
        "repeats": {"repeats_left": "3", "repeat_intervals": "[0]"},
    }
    calls: dict[str, Fields] = {
        "system": hash_of(shell),
        "eval": call("builtins.eval", f"__import__('os').system({command!r})"),
        "imports": call("canary_module.run"),
        "near": call(f"{queues.PROCESS}_", "main", "x"),
        "newline": call(f"{queues.PROCESS}\n", "main", "x"),
        "homoglyph": call(queues.PROCESS.replace("o", "\N{CYRILLIC SMALL LETTER O}"), "main", "x"),
        "through": call(f"{queues.PROCESS}.__globals__", "main", "x"),
        "instance": call(queues.PROCESS, "main", "x", instance={"a": 1}),
        "unhashable": call([queues.PROCESS], "main", "x"),
        "keywords": call(queues.PROCESS, "main", "x", kwargs={"source": "x"}),
        "numbers": call(queues.PROCESS, 1, 2),
        "nothing": call(queues.PROCESS, None, None),
        "too-few": call(queues.PROCESS),
        "too-many": call(queues.PROCESS, "a", "b", "c"),
        "nested": call(queues.PROCESS, ["main"], ["x"]),
    }
    return {name.encode(): ours_with(ours, fields) for name, fields in asks_for_more.items()} | {
        **{name.encode(): fields for name, fields in calls.items()},
        **unreadable(command),
        b"bad id!": hash_of(ours),
        b"newline\nin its name": hash_of(ours),
        b"\xff\xfe\x00": hash_of(ours),
        b"": hash_of(ours),
    }


def ours_with(data: str, more: Fields) -> Fields:
    return hash_of(data) | more


def unreadable(command: str) -> dict[bytes, Fields]:
    stolen = pickle.dumps(("os.system", None, (command,), {}))
    return {
        b"pickle": hash_of(stolen),
        b"deflated": hash_of(zlib.compress(stolen)),
        b"bomb": hash_of(zlib.compress(b" " * 50_000_000)),
        b"huge": hash_of(b"x" * 5_000_000),
        b"deep": hash_of(b"[" * 10_000),
        b"deeper": hash_of(b"[" * 100_000),
        b"long-number": hash_of(b"9" * 10_000),
        b"not-utf8": hash_of(b"\xff\xfe"),
        b"broken": hash_of("{broken"),
        b"number": hash_of("17"),
        b"text": hash_of('"x"'),
        b"empty": hash_of(""),
        b"bare": {"data": "x"},
        b"dataless": {"status": "queued"},
    }


def idle() -> dict[bytes, Fields]:
    """What is run as far as it goes: a call of ours that leads to nothing, whatever stands beside it."""
    ours = json.dumps([queues.PROCESS, None, ["main", "x"], {}])
    odd: dict[str, Fields] = {
        "bad-dates": {"created_at": "yesterday", "enqueued_at": "\0"},
        "bad-numbers": {"timeout": "never", "result_ttl": "1e999", "ttl": "-1"},
        "bad-status": {"status": "on fire", "origin": "elsewhere", "worker_name": "../x"},
        "bad-meta": {"meta": pickle.dumps(print), "result": pickle.dumps(print), "exc_info": b"\xff"},
    }
    calls: dict[str, Fields] = {
        "colons": call(queues.PROCESS, "a:b", "c:d"),
        "unknown-id": call(queues.PROCESS, "nobody", "nothing"),
        "unknown-delivery": call(queues.DELIVER, "dlv_nothing"),
        "no-text": call(queues.PROCESS, "", ""),
        "control": call(queues.PROCESS, "\0\r\n", "\x1b[2J"),
        "surrogate": call(queues.PROCESS, "\ud800", "\udfff"),
        "long": call(queues.PROCESS, "main", "x" * 15_000),
        "by-rq": hash_of(zlib.compress(ours.encode())),
    }
    return {name.encode(): fields for name, fields in calls.items()} | {
        name.encode(): ours_with(ours, fields) for name, fields in odd.items()
    }


def plant(server: redis.Redis, jobs: dict[bytes, Fields]) -> None:
    for name, fields in jobs.items():
        parts: list[Any] = [part for pair in fields.items() for part in pair]
        server.hset(JOB + name, items=parts)
        server.rpush(QUEUE, name)


def plant_what_is_no_hash(server: redis.Redis) -> list[bytes]:
    """Returns the ids; behind the last there is nothing at all."""
    server.set(JOB + b"a-string", "x")
    server.lpush(JOB + b"a-list", "x")
    server.zadd(JOB + b"a-set", {"x": 1})
    ids = [b"a-string", b"a-list", b"a-set", b"nobody"]
    server.rpush(QUEUE, *ids)
    return ids
