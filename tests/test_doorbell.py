"""What a job may say: exactly what our scripts and RQ itself write, and nothing that a stranger could use."""

from __future__ import annotations

import json
import pickle
import zlib

import pytest

from service import queues
from workers.doorbell import DATA_MOST, EXTRAS, Doorbell, HostileJobError, Seen, read

CALL = json.dumps([queues.PROCESS, None, ["main", "p1"], {}]).encode()


def seen(data: bytes, extras: str = "") -> Seen:
    return Seen("hash", extras, len(data), data)


@pytest.mark.parametrize("data", [CALL, zlib.compress(CALL)], ids=["by our scripts", "by RQ"])
def test_our_own_call_is_read_whoever_wrote_it(data: bytes) -> None:
    assert read(seen(data)) == Doorbell(queues.PROCESS, ("main", "p1"))


def test_a_delivery_takes_one_text() -> None:
    data = json.dumps([queues.DELIVER, None, ["dlv_1"], {}]).encode()
    assert read(seen(data)) == Doorbell(queues.DELIVER, ("dlv_1",))


def call(
    function: object, args: object = ("main", "p1"), instance: object = None, kwargs: object = None
) -> bytes:
    return json.dumps([function, instance, args, kwargs or {}]).encode()


@pytest.mark.parametrize(
    "data",
    [
        call("os.system", ["touch canary"]),
        call("workers.jobs.os.system"),
        call("workers.process.process"),
        call([queues.PROCESS]),
        call({"name": queues.PROCESS}),
        call(None),
        call(queues.PROCESS, instance={"class": "os"}),
        call(queues.PROCESS, ["main"]),
        call(queues.PROCESS, ["main", "p1", "more"]),
        call(queues.PROCESS, ["main", 1]),
        call(queues.PROCESS, "ab"),
        call(queues.PROCESS, {"source": "main"}),
        call(queues.PROCESS, kwargs={"shop": "x"}),
        b"[]",
        b"[1, 2, 3, 4, 5]",
        b'"text"',
        b"null",
        b"17",
        b"{}",
        b"{broken",
        b"\xff\xfe\x00",
        b"[" * 10_000,
        pickle.dumps((queues.PROCESS, None, ("main", "p1"), {})),
        zlib.compress(pickle.dumps(CALL)),
        zlib.compress(CALL)[:-6],
        zlib.compress(b" " * 100_000_000),
    ],
)
def test_whatever_else_a_call_says_is_refused(data: bytes) -> None:
    with pytest.raises(HostileJobError):
        read(seen(data))


@pytest.mark.parametrize(
    "look",
    [
        Seen("string"),
        Seen("list"),
        Seen("hash"),
        Seen("hash", size=DATA_MOST + 1),
        *(seen(CALL, extra) for extra in EXTRAS),
    ],
)
def test_a_job_that_is_no_plain_call_is_refused_unread(look: Seen) -> None:
    with pytest.raises(HostileJobError):
        read(look)
