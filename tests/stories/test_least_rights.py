"""The way of the data with the shipped redis.conf and users.acl: the rights suffice, and each is used."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from redis import exceptions as redis_errors

from service import keys, queues
from service.hooks import Hook
from service.ledger import Ledger
from service.ledger.intents import Intent
from tests import forged, shipped
from tests.builders import RETENTION
from tests.house import ROOT
from tests.stories.house import STREAMED_MODEL, House
from tests.waiting import wait_until
from workers.worker import ConcurrentWorker, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.shipped import Shipped

SCENARIOS = ("clean", "duplicate", "flagged", "lost", "failed", "forged")


@pytest.fixture(scope="module", params=shipped.BOTH)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    with shipped.running(request.param, tmp_path_factory.mktemp("shipped")) as server:
        yield server


@pytest.fixture(scope="module")
def locked(server: Shipped, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("locked"), {"redis_url": server.url()}) as house:
        yield house


def ask(house: House, *arguments: str, **environment: str) -> str:
    """What a command says, on both ways out."""
    command = [sys.executable, "-m", *arguments]
    done = forged.run(command, env=house.environment | environment, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def catchlight(house: House, line: str) -> str:
    return ask(house, "service.cli", *line.split())


def test_all_that_catchlight_does_is_allowed_and_no_right_is_left_over(
    locked: House, server: Shipped
) -> None:
    ids = [locked.submit(scenario) for scenario in SCENARIOS]
    streamed = locked.submit("clean", model=STREAMED_MODEL)
    ended = [locked.ended(id_) for id_ in ids]
    assert [one["stage"] for one in ended] == ["done", "done", "done", "done", "failed", "done"]
    assert ended[3]["received_via"] == "poll"
    assert all(locked.heard(id_) for id_ in ids)

    assert {one["state"] for one in locked.ended(streamed)["deliveries"]} == {"delivered"}
    a_consumer_reads(server)

    people_ask(locked, ended[0]["id"], ended[0]["deliveries"][0]["id"])
    something_goes_wrong(locked, server)
    assert server.refused() == []
    assert shipped.granted("catchlight") - used(server) == set()


def a_consumer_reads(server: Shipped) -> None:
    """As a user of its own, who may read streams and nothing else; and so a sweep finds a group."""
    key = f"{keys.STREAM}lake"
    with server.client("stream") as reader:
        reader.xgroup_create(key, "readers", id="0")
        read = cast("Any", reader.xreadgroup("readers", "me", {key: ">"}))
        assert read[0][1]
        assert reader.xack(key, "readers", "0-1") == 0
        with pytest.raises(redis_errors.NoPermissionError):
            reader.xadd(key, {"id": "forged"})
        with pytest.raises(redis_errors.NoPermissionError):
            reader.hgetall(keys.TALLY)
    with server.client("admin") as admin:
        admin.acl_log_reset()

    async def trim() -> None:
        """With a bound so short that all is looked at."""
        short = {"name": "lake", "kind": "redis-stream", "stream": "lake", "maxlen": 1}
        ledger = Ledger(server.url(), RETENTION)
        try:
            await ledger.streams.trim(Hook.model_validate(short))
        finally:
            await ledger.aclose()

    asyncio.run(trim())


def people_ask(house: House, id_: str, delivery: str) -> None:
    wait_until(lambda: house.client.get("/api/v1/refused").json()["items"], what="the forged one is listed")
    for path in ("predictions", "deliveries", "scaling"):
        assert house.client.get(f"/api/v1/{path}").status_code == 200
    for path in (
        f"predictions/{id_}/replay",
        "predictions/pred_of_somebody/track",
        f"deliveries/{delivery}/retry",
    ):
        assert house.client.post(f"/api/v1/{path}").status_code == 202
    assert house.client.get("/readyz?verbose").status_code == 200
    for line in ("status", "hooks disable sample", "hooks enable sample", "hooks test sample"):
        catchlight(house, line)
    catchlight(house, f"backup {house.folder / 'ledger.backup'}")


def something_goes_wrong(house: House, server: Shipped) -> None:
    """What a good day does not need: a foreign job, a job that fails, and an intent whose answer was lost."""
    asyncio.run(_intent(server.url()))
    queue = f"rq:queue:{queues.QUEUE}"
    with server.client("rq") as stranger, server.client() as ours:
        stranger.hset("rq:job:foreign", "data", "nothing of ours")
        stranger.rpush(queue, "foreign")
        wait_until(lambda: ours.llen(keys.ASIDE), what="the foreign job is set aside")
        house.end("work")
        call = json.dumps([queues.PROCESS, None, ["nowhere", "nobody"], {}])
        stranger.hset("rq:job:fails", mapping={"data": call})
        stranger.rpush(queue, "fails")
    worker = ConcurrentWorker(connect(server.url()), "one-more")
    [taken] = worker.take(1, 1.0)
    worker.fail(taken, RuntimeError("a bug"))
    worker.leave()
    worker.connection.close()
    house.start("work")


async def _intent(url: str) -> None:
    ledger = Ledger(url, RETENTION)
    try:
        await ledger.intents.begin(Intent("a-key", "digest", "acme/painter", 1_000.0))
        assert await ledger.intents.matching("main", "acme/painter", 1_000.0)
        await ledger.intents.forget("a-key")
    finally:
        await ledger.aclose()


def used(server: Shipped) -> set[str]:
    with server.client("admin") as admin:
        return {name.removeprefix("cmdstat_") for name in admin.info("commandstats")}


def test_doctor_finds_everything_durable_and_allowed(locked: House, server: Shipped) -> None:
    said = catchlight(locked, "doctor --json")
    checks = {one["name"]: one for one in json.loads(said)["checks"]}
    names = {"redis", "redis.write", "redis.memory", "roles", "storage", "provider"}
    names |= {f"durability.{name}" for name in ("appendonly", "appendfsync", "maxmemory-policy")}
    assert {name: checks[name]["state"] for name in names} == dict.fromkeys(names, "ok")
    assert "durability" not in checks, "that would say that it may not read the settings"
    assert server.password not in said


def test_stock_rq_info_works_with_the_same_user_and_with_its_own(locked: House, server: Shipped) -> None:
    # A queue is known from its first job on.
    locked.ended(locked.submit("clean"))
    before = {line["entry-id"] for line in server.refused() if "entry-id" in line}
    for user in ("catchlight", "rq"):
        said = ask(locked, "rq.cli", "info", RQ_REDIS_URL=server.url(user))
        assert re.search(r"^catchlight\s.*\bexecuting", said, re.MULTILINE), said
        assert "1 workers, 1 queues" in said
    refused = {line["object"] for line in server.refused() if line.get("entry-id") not in before}
    assert refused <= {"client|setinfo"}, "how a stock client says which library it is"


def test_a_stock_worker_of_the_user_rq_serves_the_queue(locked: House, server: Shipped) -> None:
    locked.end("work")
    id_ = locked.submit("clean")
    wait_until(lambda: locked.show(id_).get("stage") == "accepted", what="it is called back")
    said = ask(
        locked, "rq.cli", "worker", "--burst", "--serializer", "rq.serializers.JSONSerializer", queues.QUEUE,
        RQ_REDIS_URL=server.url("rq"), PYTHONPATH=str(ROOT),
    )  # fmt: skip
    assert locked.show(id_)["stage"] == "done", said
    assert "Traceback" not in said
    locked.start("work")
    assert locked.ended(id_)["stage"] == "done"


def test_the_password_is_shown_nowhere(locked: House, server: Shipped) -> None:
    locked.ended(locked.submit("clean"))
    shown = [locked.log(role) for role in ("serve", "work", "sweep")]
    shown.append(catchlight(locked, "config show"))
    shown += [
        locked.client.get(path).text for path in ("/readyz?verbose", "/openapi.json", "/api/v1/predictions")
    ]
    shown += [path.read_bytes().decode("utf-8", "replace") for path in command_lines()]
    shown += [
        path.read_text("utf-8", "replace") for path in (locked.folder / "outputs").rglob("manifest.json")
    ]
    assert any("redis://catchlight:…@" in text for text in shown), "what hides it is seen to hide it"
    assert not [text for text in shown if server.password in text]


def command_lines() -> list[Path]:
    """Of every process on this machine; any user can read them."""
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
