"""The moderation policy in force: each change is on record with who and when, and a restart is no change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from service import keys
from tests.builders import NOON
from tests.workplace import role, until, workplace

if TYPE_CHECKING:
    from pathlib import Path

    from service.ledger import Ledger
    from tests.builders import Clock

pytestmark = pytest.mark.anyio


async def test_a_change_is_on_record_and_a_repetition_is_none(ledger: Ledger, clock: Clock) -> None:
    assert await ledger.policies.declare("strict", "ann on one") is None
    assert await ledger.policies.declare("strict", "bob on two") is None
    clock.advance(60)
    assert await ledger.policies.declare("lax", "bob on two") == "strict"
    kept = [json.loads(line) for line in await ledger.redis.lrange(keys.POLICIES, 0, -1)]
    assert kept == [
        {"policy": "lax", "by": "bob on two", "at": NOON + 60},
        {"policy": "strict", "by": "ann on one", "at": NOON},
    ]


async def test_only_the_last_hundred_are_kept(ledger: Ledger) -> None:
    for number in range(105):
        await ledger.policies.declare(str(number), "ann")
    assert await ledger.redis.llen(keys.POLICIES) == 100


async def test_a_worker_with_another_policy_says_so_when_it_starts(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place:
        for _ in range(2):
            async with role(place, "work") as worker:
                await until(lambda: place.ledger.redis.llen(keys.POLICIES))
                assert await worker.end() == 0
                assert "moderation.changed" not in worker.said()
        async with role(place, "work", moderation_flagged="drop") as worker:
            await until(lambda: "moderation.changed" in worker.said())
            assert "flagged drop" in worker.said()
