"""A suspect runs in a process of its own: what it brings down is itself, three times and no more."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service import keys
from service.prediction import Disposition, Reason, Stage
from service.simulator.scenario import Scenario
from service.simulator.simulator import SimulatorConfig
from tests.workplace import Workplace, shop_of, until, workplace
from workers import process

if TYPE_CHECKING:
    from service.prediction import Ref

pytestmark = pytest.mark.anyio

STALLING = SimulatorConfig(delay=(0, 0), media_bytes=2_500_000, stall=30)


def children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


async def suspect(place: Workplace, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]) -> Ref:
    """In flight in two crashes already; a child of ours finds the settings in the environment."""
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    ref = await place.complete(said)
    await place.ledger.redis.hset(keys.PREDICTION + str(ref), "crashes", "2")
    return ref


async def lease_runs_out(place: Workplace, ref: Ref) -> int:
    await place.ledger.redis.zadd(keys.DUE_WORK, {str(ref): 1})
    return (await place.ledger.sweeping.sweep(10, reclaim=True)).crashed


async def test_a_suspect_that_was_innocent_is_done_by_its_child(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await suspect(place, monkeypatch, place.payload(Scenario.CLEAN))
        await process.process(shop, ref)
        ended = await place.prediction(ref)
        assert (ended["stage"], ended["attempts"]) == (Stage.DONE, 1)
        assert [output["disposition"] for output in ended["outputs"]] == [Disposition.STORED]


async def test_three_crashes_alone_are_the_end_and_hooks_are_told(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workplace(redis_url, tmp_path, config=STALLING) as place, shop_of(place) as shop:
        ref = await suspect(place, monkeypatch, place.payload(Scenario.SLOW))
        for _ in range(3):
            before = children()
            working = asyncio.create_task(process.process(shop, ref))
            await until(lambda before=before: children() - before)  # type: ignore[misc]  # bound to this round
            os.kill((children() - before).pop(), signal.SIGKILL)
            await working
            assert await place.stage(ref) == Stage.ACCEPTED, "nobody waits for the lease to run out"
        await process.process(shop, ref)
        ended = await place.prediction(ref)
        assert (ended["stage"], ended["reason"], ended["attempts"]) == (
            *(Stage.DEAD, Reason.CRASHES_EXHAUSTED, 4),
        )
        assert [output["error"] for output in ended["outputs"]] == ["crashes_exhausted"]
        await place.delivered(shop, ref)
        assert [line["type"] for line in place.told()] == ["prediction.dead"]


async def test_a_stop_reaches_the_child_and_is_no_crash(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        workplace(redis_url, tmp_path, config=STALLING, fetch_idle="60s") as place,
        shop_of(place) as shop,
    ):
        said = place.payload(Scenario.SLOW)
        ref = await suspect(place, monkeypatch, said)
        made = place.sim.find(ref.id)
        assert made is not None
        before = children()
        working = asyncio.create_task(process.process(shop, ref))
        await until(lambda: made.hits[0] == 1 and any(path.startswith(".tmp/") for path in place.files()))
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert children() == before
        back = await place.prediction(ref)
        assert back["stage"] == Stage.ACCEPTED
        assert "crashed" not in [line["step"] for line in back["timeline"]]
        assert place.files() == []


async def test_a_child_that_hangs_is_killed_when_its_time_is_over(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "ALONE_MARGIN", 0.1)
    async with (
        workplace(redis_url, tmp_path, config=STALLING, fetch_timeout="200ms") as place,
        shop_of(place) as shop,
    ):
        ref = await suspect(place, monkeypatch, place.payload(Scenario.SLOW))
        before = children()
        await process.process(shop, ref)
        assert children() == before
        assert await place.stage(ref) == Stage.ACCEPTED
        assert (await place.record(ref)).crashes_alone == 1


async def test_a_parent_that_dies_with_its_child_says_nothing_against_the_suspect(
    redis_url: str, tmp_path: Path
) -> None:
    """Somebody killed both: only ten of these are the end."""
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await place.complete(place.payload(Scenario.CLEAN))
        for crashes in range(process.MOST_CRASHES):
            taken = await place.ledger.predictions.lease(ref, 12, "killed")
            assert taken is not None
            assert (taken.alone, taken.crashes_alone) == (crashes >= 2, 0)
            assert await lease_runs_out(place, ref) == 1
        await process.process(shop, ref)
        ended = await place.prediction(ref)
        assert (ended["stage"], ended["reason"]) == (Stage.DEAD, Reason.CRASHES_EXHAUSTED)


async def test_a_child_that_refuses_its_settings_is_a_failed_round_and_no_crash(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await suspect(place, monkeypatch, place.payload(Scenario.CLEAN))
        monkeypatch.setenv("CATCHLIGHT_LEASE", "soon")
        await process.process(shop, ref)
        record = await place.record(ref)
        assert (record.stage, record.failures, record.crashes_alone) == (Stage.ACCEPTED, 1, 0)
