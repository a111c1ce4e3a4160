"""The version of the ledger's layout: written at first use, looked at by every role, and brought forward.

`ledgers/version_1.json` is a ledger as the version before there were versions wrote it, with what it showed.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service import clock, keys
from service.errors import ConfigError, LedgerDown
from service.ledger import Ledger, schema
from service.ledger.intents import Intent
from tests.builders import RETENTION, accept, callback, completed, ref
from tests.commandline import CommandLine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

FIRST = json.loads((Path(__file__).parent / "ledgers" / "version_1.json").read_text())


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """On the real clock: the one of the first version lived on that."""
    opened = Ledger(redis_url, RETENTION)
    yield opened
    await opened.aclose()


async def of_the_first(ledger: Ledger) -> None:
    """As it lay in Redis, without a version."""
    await ledger.copying.bring(FIRST["lines"], clock.now())
    await ledger.redis.delete(keys.SCHEMA)


async def version(ledger: Ledger) -> Any:
    return await ledger.redis.get(keys.SCHEMA)


async def test_an_empty_ledger_gets_our_version_at_its_first_use(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    assert await version(ledger) == str(schema.VERSION)


async def test_a_ledger_of_the_first_version_is_brought_forward_and_shows_what_it_showed(
    ledger: Ledger, redis_url: str
) -> None:
    await of_the_first(ledger)
    later = Ledger(redis_url, RETENTION)
    try:
        await later.agree()
        assert await version(later) == str(schema.VERSION)
        for id_, shown in FIRST["shown"].items():
            assert await later.reading.prediction(ref(id_)) == shown, id_
        assert await later.redis.zrange(keys.INTENTS, 0, -1) == ["open"]
        # It goes on: what was held back is rung, and a compact one comes back to work.
        assert (await later.sweeping.sweep(100, reclaim=True)).rung
        assert await later.predictions.replay(ref("compact")) == "accepted"
    finally:
        await later.aclose()


async def test_a_step_may_run_twice_and_beside_the_older_version(ledger: Ledger) -> None:
    await of_the_first(ledger)
    await schema.forward(ledger.redis, 1)
    await ledger.redis.zadd(keys.INTENTS_OPEN, {"meanwhile": 1.0})
    before = await ledger.redis.zrange(keys.INTENTS, 0, -1, withscores=True)
    await schema.forward(ledger.redis, 1)
    after = await ledger.redis.zrange(keys.INTENTS, 0, -1, withscores=True)
    assert [one for one in after if one[0] != "meanwhile"] == before


async def test_one_that_was_brought_half_way_is_brought_again(
    ledger: Ledger, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await of_the_first(ledger)

    async def breaks(_: object) -> None:
        raise LedgerDown("gone")

    later = Ledger(redis_url, RETENTION)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(schema, "STEPS", {1: breaks})
            with pytest.raises(LedgerDown):
                await later.intents.begin(Intent("k", "d", "m", 0.0))
            assert await version(later) is None
        assert await later.intents.begin(Intent("k", "d", "m", 0.0)) is None
        assert await version(later) == str(schema.VERSION)
    finally:
        await later.aclose()


def test_every_version_before_ours_has_its_step() -> None:
    assert sorted(schema.STEPS) == list(range(1, schema.VERSION))


async def test_a_newer_one_is_not_touched(ledger: Ledger, redis_url: str, tmp_path: Path) -> None:
    await ledger.redis.set(keys.SCHEMA, schema.VERSION + 1)
    with pytest.raises(ConfigError, match=f"version {schema.VERSION + 1}"):
        await ledger.agree()
    with pytest.raises(LedgerDown, match="later one"):
        await accept(ledger, callback(completed()))
    assert await ledger.redis.keys(f"{keys.PREFIX}*") == [keys.SCHEMA]
    cli = CommandLine(tmp_path, redis_url)
    for arguments in (["service.cli", "serve"], ["workers", "work"], ["workers", "sweep"]):
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-P", "-m", *arguments],
            env=cli.environment(webhook_secrets="whsec_x", port="0"),
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (ended.returncode, "of version" in ended.stderr) == (2, True), ended.stderr
        assert "Traceback" not in ended.stderr
