"""deploy/examples/stream_consumer.py is what the runbook says: it reads every event, and loses none."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.simulator.scenario import Scenario
from tests.house import ROOT
from tests.workplace import shop_of, until, workplace

if TYPE_CHECKING:
    from pathlib import Path

CONSUMER = ROOT / "deploy" / "examples" / "stream_consumer.py"

pytestmark = pytest.mark.anyio


async def test_it_prints_and_acknowledges_every_event_also_what_another_had_taken(
    redis_url: str, tmp_path: Path
) -> None:
    tables = '[[hooks]]\nname = "lake"\nkind = "redis-stream"\nstream = "lake"\n'
    key = keys.STREAM + "lake"
    async with workplace(redis_url, tmp_path, hooks={}, tables=tables) as place, shop_of(place) as shop:
        refs = [await place.complete(place.payload(Scenario.TEXT)) for _ in range(3)]
        for ref in refs:
            await place.worked(shop, ref)
            (delivery,) = await place.delivered(shop, ref)
            assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)

        redis = place.ledger.redis
        await redis.xgroup_create(key, "example", id="0")
        await redis.xreadgroup("example", "one-that-died", {key: ">"}, count=1)
        (taken,) = await redis.xpending_range(key, "example", "-", "+", 1)
        await redis.xclaim(key, "example", "one-that-died", 0, [taken["message_id"]], idle=120_000)

        with (tmp_path / "said").open("w+") as said:
            reader = await asyncio.create_subprocess_exec(
                *(sys.executable, str(CONSUMER), "lake"),
                env=os.environ | {"REDIS_URL": redis_url}, stdout=said, stderr=said,
            )  # fmt: skip
            try:

                async def all_read() -> bool:
                    summary = await redis.xpending(key, "example")
                    return len((tmp_path / "said").read_text().splitlines()) >= 3 and not summary["pending"]

                await until(all_read, what="every event is read and acknowledged")
            finally:
                reader.terminate()
                await reader.wait()
        lines = [line.split() for line in (tmp_path / "said").read_text().splitlines()]
        assert {(kind, id_) for _, kind, id_ in lines} == {("prediction.completed", ref.id) for ref in refs}
        assert len({event_id for event_id, _, _ in lines}) == 3


def test_it_is_short_enough_to_be_read() -> None:
    code = CONSUMER.read_text().rpartition("import redis\n")[2]
    assert len([line for line in code.splitlines() if line]) <= 13
