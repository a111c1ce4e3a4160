"""Backup and restore: all keys come back as they were, a damaged file writes nothing, and work goes on."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
import redis

from service import clock, events, keys
from service.hooks import Dead, Delivered, Retry
from service.ledger import Commit, Ledger, backup_file
from service.ledger.copying import Copied
from service.ledger.intents import Intent
from service.ledger.refusals import Batch, RefusedCallback
from service.ledger.schema import VERSION
from service.prediction import Disposition, Stage
from service.refusals import RefusedFor
from service.signing import event_id
from service.simulator.scenario import Scenario
from tests.builders import (
    LEASE,
    RETENTION,
    accept,
    callback,
    completed,
    failed,
    finish,
    hook,
    lease,
    output,
    tracked,
)
from tests.builders import ref as ref_of
from tests.commandline import CommandLine
from tests.workplace import shop_of, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.prediction import Ref

pytestmark = pytest.mark.anyio

HOOKS = (hook("crm"), hook("mail"), hook("off"))
NOT_KEPT = (
    *("clock", "sweeper", "role", "roles", "probe", "refused:by", "reconciled"),
    *("hook:hour", "refused:hour", "hooks:tests"),
)
"""What lives for seconds, what has to be done anew, and counts of two days that only pages show."""
MOMENT = 10


def elsewhere(redis_url: str) -> str:
    return f"{redis_url.removesuffix('/0')}/1"


@pytest.fixture
def ours(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def theirs(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(elsewhere(redis_url), decode_responses=True) as client:
        yield client


def everything(client: redis.Redis) -> dict[str, Any]:
    """All of our keys with what they hold; what is in no backup apart."""
    found: dict[str, Any] = {}
    for key in map(str, client.keys(f"{keys.PREFIX}*")):
        name = key.removeprefix(keys.PREFIX)
        if any(name == one or name.startswith(f"{one}:") for one in NOT_KEPT):
            continue
        match client.type(key):
            case "hash":
                found[name] = client.hgetall(key)
            case "zset":
                found[name] = client.zrange(key, 0, -1, withscores=True)
            case "list":
                found[name] = client.lrange(key, 0, -1)
            case "set":
                found[name] = client.smembers(key)
            case _:
                found[name] = client.get(key)
    return found


def lives(client: redis.Redis, names: dict[str, Any]) -> dict[str, int]:
    return {name: round(client.ttl(keys.PREFIX + name) / MOMENT) for name in names}


async def filled(redis_url: str) -> None:
    """A ledger with one of each kind of thing that can lie in it, a lease apart."""
    ledger = Ledger(redis_url, RETENTION)
    try:
        await accept(ledger, callback(completed("waits")), tracked("awaited"), callback(failed("failed")))
        await accept(ledger, *(callback(completed(id_)) for id_ in ("told", "held", "compact", "retried")))
        await finish(ledger, "failed", Stage.FAILED)
        await finish(ledger, "told", hooks=HOOKS, outputs=[output()])
        await finish(ledger, "held", outputs=[output(0, Disposition.HELD)])
        record = await lease(ledger, "retried")
        again = Commit(Stage.ACCEPTED, error="again", due_in=60, outputs=[])
        assert await ledger.predictions.commit(record.ref, Stage.WORKING, record.token, again)
        await ledger.deliveries.disable("off", "moving", clock.now())
        (crm, mail, off) = [events_of("told", one.name) for one in HOOKS]
        for id_, said in ((crm, Delivered()), (mail, Retry(30.0))):
            taken = await ledger.deliveries.take(id_, 20)
            assert taken is not None
            await ledger.deliveries.attempted(taken, said, status=200, error="", now=clock.now())
        assert await ledger.deliveries.take(off, 20) is None
        await finish(ledger, "compact", hooks=HOOKS[:1], outputs=[output()])
        taken = await ledger.deliveries.take(events_of("compact", "crm"), 20)
        assert taken is not None
        await ledger.deliveries.attempted(taken, Dead("no", disable=False), status=500, error="no", now=0)
        await ledger.compacting.compact(0, 10)
        await ledger.intents.begin(Intent("open", "d", "m", clock.now()))
        answered = Intent("answered", "d", "m", clock.now())
        await ledger.intents.begin(answered)
        await ledger.intents.became(answered, "told")
        await ledger.policies.declare("a policy", "ada")
        one = RefusedCallback(clock.now(), "s", RefusedFor.SIGNATURE, "why", None, 3, None)
        await ledger.refusals.write(Batch("p", 1, {RefusedFor.SIGNATURE: 1}, [one]))
        await ledger.sweeping.leave_mark("main", "a mark")
        await ledger.sweeping.trim(10)
    finally:
        await ledger.aclose()


def events_of(id_: str, name: str) -> str:
    ref = ref_of(id_)
    event = event_id(ref.source, ref.id, events.Kind.COMPLETED, "1")
    return events.delivery_id(event, name)


async def test_every_key_comes_back_as_it_was(
    redis_url: str, tmp_path: Path, ours: redis.Redis, theirs: redis.Redis
) -> None:
    await filled(redis_url)
    before = everything(ours)
    assert len(before) > 40
    file = str(tmp_path / "ledger.backup")
    made = CommandLine(tmp_path, redis_url).run("backup", file, "--json")
    assert (made.code, made.json["predictions"], made.json["deliveries"]) == (0, 7, 4)
    assert (tmp_path / "ledger.backup").stat().st_mode & 0o777 == 0o600
    there = CommandLine(tmp_path, elsewhere(redis_url))
    assert (there.run("restore", file).code, theirs.dbsize()) == (2, 0)
    assert (there.run("restore", file, "--dry-run").code, theirs.dbsize()) == (0, 0)
    assert there.run("restore", file, "--yes").code == 0
    after = everything(theirs)
    assert sorted(after) == sorted(before)
    assert after == before
    close = {name for name, ttl in lives(theirs, after).items() if abs(ttl - lives(ours, before)[name]) > 1}
    assert close == set()


async def test_what_was_in_a_workers_hands_is_taken_up_again_and_that_is_no_crash(
    redis_url: str, tmp_path: Path
) -> None:
    here, there = Ledger(redis_url, RETENTION), Ledger(elsewhere(redis_url), RETENTION)
    try:
        await accept(here, callback(completed("p1")))
        await lease(here)
        await copy(here, there)
        assert (await there.sweeping.sweep(10, reclaim=True)).rung == 1
        again = await there.predictions.lease(ref_of(), LEASE, "w2")
        assert again is not None
        assert (again.attempts, again.crashes) == (2, 0)
    finally:
        await here.aclose()
        await there.aclose()


async def copy(here: Ledger, there: Ledger) -> None:
    now = clock.now()
    await there.copying.begin("this one", VERSION)
    await there.copying.bring([line async for line in here.copying.out(now, (), Copied())], now)
    await there.copying.end(VERSION)


async def test_a_ledger_that_is_not_empty_or_in_use_is_refused_and_a_broken_off_restore_goes_on(
    redis_url: str, tmp_path: Path
) -> None:
    here, there = Ledger(redis_url, RETENTION), Ledger(elsewhere(redis_url), RETENTION)
    try:
        await accept(here, *(callback(completed(f"p{n}")) for n in range(3)))
        file = str(tmp_path / "ledger.backup")
        assert CommandLine(tmp_path, redis_url).run("backup", file).code == 0
        again = CommandLine(tmp_path, redis_url).run("backup", file)
        assert (again.code, "exists" in again.err) == (2, True)
        cli = CommandLine(tmp_path, redis_url)
        refused = cli.run("restore", file, "--yes")
        assert (refused.code, "not empty" in refused.err, "reindex" in refused.err) == (1, True, True)
        await there.roles.beat("work", "w1")
        busy = CommandLine(tmp_path, elsewhere(redis_url)).run("restore", file, "--yes")
        assert (busy.code, "roles are at work" in busy.err) == (1, True)
        await there.roles.leave("work", "w1")
        lines = [line async for line in here.copying.out(clock.now(), (), Copied())]
        await there.copying.begin("one", VERSION)
        await there.copying.bring(lines[:2], clock.now())
        await there.copying.begin("one", VERSION)
        with pytest.raises(Exception, match="not empty"):
            await there.copying.begin("another", VERSION)
    finally:
        await here.aclose()
        await there.aclose()


async def test_a_file_that_is_cut_off_or_altered_is_refused_before_anything_is_written(
    redis_url: str, tmp_path: Path, theirs: redis.Redis
) -> None:
    await filled(redis_url)
    file = tmp_path / "ledger.backup"
    assert CommandLine(tmp_path, redis_url).run("backup", str(file)).code == 0
    whole = file.read_bytes()
    plain = gzip.decompress(whole)
    lines = plain.splitlines(keepends=True)
    damaged = [whole[:n] for n in range(0, len(whole), max(1, len(whole) // 40))]
    damaged += [bytes([*whole[:n], whole[n] ^ 1, *whole[n + 1 :]]) for n in range(10, len(whole), 97)]
    # Whoever packs it anew gets past the packing's own checksum.
    damaged += [gzip.compress(b"".join(lines[:n] + lines[n + 1 :])) for n in range(0, len(lines), 5)]
    damaged += [gzip.compress(plain.replace(b"told", b"sold")), gzip.compress(plain + b"{}\n"), b"", b"text"]
    damaged += [gzip.compress(json.dumps({"is": "catchlight backup", "format": 2}).encode())]
    for data in damaged:
        file.write_bytes(data)
        with file.open("rb") as stream, pytest.raises(backup_file.BadBackup):
            backup_file.check(stream)
    refused = CommandLine(tmp_path, elsewhere(redis_url)).run("restore", str(file), "--yes")
    assert (refused.code, theirs.dbsize()) == (1, 0)
    assert CommandLine(tmp_path, redis_url).run("restore", str(tmp_path / "none"), "--yes").code == 3


async def test_taken_under_load_it_has_what_was_accepted_before_and_work_goes_on_elsewhere(
    redis_url: str, tmp_path: Path
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    async with workplace(redis_url, tmp_path / "here") as here:
        before = [await here.complete(here.payload(Scenario.CLEAN)) for _ in range(60)]
        during: list[Ref] = []

        async def load() -> None:
            while True:
                during.append(await here.complete(here.payload(Scenario.CLEAN)))

        loading = asyncio.create_task(load())
        file = str(tmp_path / "ledger.backup")
        try:
            made = await asyncio.to_thread(CommandLine(tmp_path, redis_url).run, "backup", file, "--json")
        finally:
            loading.cancel()
        assert during
        assert made.json["predictions"] >= len(before)
        packed = gzip.decompress((tmp_path / "ledger.backup").read_bytes())
        assert b"a-key" not in packed
        restored = await asyncio.to_thread(
            CommandLine(tmp_path, elsewhere(redis_url)).run, "restore", file, "--yes"
        )
        assert restored.code == 0
        async with workplace(elsewhere(redis_url), tmp_path / "there") as there, shop_of(there) as shop:
            for ref in before[:5]:
                assert (await there.worked(shop, ref))["stage"] == "done"
                assert [one["state"] for one in await there.delivered(shop, ref)] == ["delivered"]
            for ref in before[5:]:
                assert await there.stage(ref) == "accepted"
