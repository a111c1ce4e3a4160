"""What goes wrong while a prediction is worked on: refusals, files that are gone, storage, bugs and stops."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from service.prediction import Disposition, Reason, Stage
from service.simulator.scenario import Scenario
from service.simulator.simulator import SimulatorConfig
from tests.workplace import dispositions, shop_of, steps, until, workplace
from workers import process

if TYPE_CHECKING:
    from pathlib import Path

    from service.moderation import Action
    from service.prediction import Nsfw

pytestmark = pytest.mark.anyio

STORED, LOST = Disposition.STORED, Disposition.LOST


async def test_a_refused_host_is_never_tried_again_and_names_its_setting(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        workplace(redis_url, tmp_path, fetch_hosts="*.cloudfront.net") as place,
        shop_of(place) as shop,
    ):
        ref = await place.complete(place.payload(Scenario.CLEAN))
        ended = await place.worked(shop, ref)
        assert (ended["stage"], ended["reason"]) == (Stage.DEAD, Reason.OUTPUTS_REFUSED)
        assert (dispositions(ended), ended["outputs"][0]["error"]) == ([LOST], "refused_host")
        assert "CATCHLIGHT_FETCH_HOSTS" in ended["error"]
        assert ended["attempts"] == 1


async def test_a_refused_output_stays_refused_while_another_is_retried(
    redis_url: str, tmp_path: Path
) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        said = place.payload(Scenario.FLAKY)
        both = ["http://elsewhere.example/0.png", *said["outputs"]]
        ended = await place.worked(
            shop, await place.complete(said | {"outputs": both, "has_nsfw_contents": [False, False]})
        )
        assert (ended["stage"], dispositions(ended)) == (Stage.DONE, [LOST, STORED])
        refusals = [line for line in ended["timeline"] if "elsewhere.example" in line["detail"]]
        assert (len(refusals), ended["attempts"]) == (1, 3)


async def test_outputs_that_are_gone_are_retried_three_times_and_then_expired(
    redis_url: str, tmp_path: Path
) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await place.complete(place.payload(Scenario.EXPIRED))
        ended = await place.worked(shop, ref)
        assert (ended["stage"], ended["reason"]) == (Stage.EXPIRED, Reason.OUTPUTS_GONE)
        assert (ended["outputs"][0]["error"], ended["attempts"]) == ("outputs_gone", 4)


async def test_a_storage_that_cannot_be_written_is_tried_again(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        place.outputs.write_text("a file where the folder belongs")
        ref = await place.complete(place.payload(Scenario.CLEAN))
        await process.process(shop, ref)
        waiting = await place.prediction(ref)
        assert (waiting["stage"], waiting["outputs"][0]["disposition"]) == (Stage.ACCEPTED, None)
        assert "stands in the way" in waiting["error"]
        place.outputs.unlink()
        ended = await place.worked(shop, ref)
        assert (ended["stage"], dispositions(ended), ended["error"]) == (Stage.DONE, [STORED], None)


async def test_a_manifest_that_cannot_be_written_is_no_bug_and_is_tried_again(
    redis_url: str, tmp_path: Path
) -> None:
    """A text has no file whose keeping would have failed before."""
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        place.outputs.write_text("a file where the folder belongs")
        ref = await place.complete(place.payload(Scenario.TEXT))
        await process.process(shop, ref)
        assert await place.stage(ref) == Stage.ACCEPTED
        place.outputs.unlink()
        assert (await place.worked(shop, ref))["stage"] == Stage.DONE


class Broken:
    """A policy with a bug."""

    def of(self, _: str) -> Broken:
        return self

    def action(self, model: str, nsfw: Nsfw) -> Action:
        raise KeyError(model)


async def test_a_bug_is_retried_on_the_schedule_and_then_dead(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path, fetch_schedule="10ms,10ms") as place, shop_of(place) as shop:
        buggy = dataclasses.replace(shop, policy=Broken())  # type: ignore[arg-type]  # that is the bug
        ref = await place.complete(place.payload(Scenario.CLEAN))

        async def dead() -> bool:
            await place.ledger.sweeping.sweep(100, reclaim=True)
            with pytest.raises(KeyError) if await place.stage(ref) == Stage.ACCEPTED else nullcontext():
                await process.process(buggy, ref)
            return await place.stage(ref) == Stage.DEAD

        await until(dead)
        ended = await place.prediction(ref)
        assert (ended["reason"], ended["attempts"]) == (Reason.ATTEMPTS_EXHAUSTED, 3)
        assert (dispositions(ended), ended["outputs"][0]["error"]) == ([LOST], "attempts_exhausted")
        assert "KeyError" in ended["error"]
        await place.delivered(shop, ref)
        assert [line["type"] for line in place.told()] == ["prediction.dead"]


async def test_work_that_is_cancelled_is_handed_back_with_what_is_done(
    redis_url: str, tmp_path: Path
) -> None:
    slow = SimulatorConfig(delay=(0, 0), media_bytes=2_000, stall=30)
    async with workplace(redis_url, tmp_path, config=slow, fetch_idle="60s") as place, shop_of(place) as shop:
        said, quick = place.payload(Scenario.SLOW), place.payload(Scenario.CLEAN)
        both = {"outputs": [*quick["outputs"], *said["outputs"]], "has_nsfw_contents": [False, False]}
        ref = await place.complete(said | both)
        working = asyncio.create_task(process.process(shop, ref))
        await until(lambda: any("/0." in path and "tmp" not in path for path in place.files()))
        # From the thread that named the file to the loop that hears of it is a moment that nothing shows.
        await asyncio.sleep(0.5)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        back = await place.prediction(ref)
        assert (back["stage"], back["attempts"]) == (Stage.ACCEPTED, 1)
        assert [output["disposition"] for output in back["outputs"]] == [STORED, None]
        assert "crashed" not in steps(back)
        assert len(place.files()) == 1
        ended = await place.worked(shop, ref)
        assert dispositions(ended) == [STORED, STORED]
