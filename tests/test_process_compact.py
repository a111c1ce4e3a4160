"""What comes for a prediction long after its end: the payload is in its manifest then, or nowhere."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from service import clock, keys
from service.ledger import compact
from service.prediction import Disposition, Ref, Stage
from service.review import Decision
from service.simulator.scenario import Scenario
from service.telling.paragraph import tell
from tests.workplace import AROUND, dispositions, shop_of, steps, until, workplace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.workplace import Workplace
    from workers.workshop import Workshop

pytestmark = pytest.mark.anyio

STORED, HELD, RELEASED, LOST = Disposition.STORED, Disposition.HELD, Disposition.RELEASED, Disposition.LOST


@asynccontextmanager
async def at_work(redis_url: str, folder: Path) -> AsyncIterator[tuple[Workplace, Workshop]]:
    async with workplace(redis_url, folder) as place, shop_of(place) as shop:
        yield place, shop


async def ended(place: Workplace, shop: Workshop, said: dict[str, Any]) -> Ref:
    """Worked on, told, and compact; whoever looks sees no difference."""
    ref = await place.complete(said)
    await place.worked(shop, ref)
    await place.delivered(shop, ref)
    before = await place.prediction(ref)
    now = clock.now()

    async def is_compact() -> bool:
        await place.ledger.compacting.compact(0, 10)
        return compact.is_compact(await hash_of(place, ref))

    await until(is_compact)
    after = await place.prediction(ref)
    assert (after, tell(after, now)) == (before, tell(before, now))
    return ref


async def hash_of(place: Workplace, ref: Ref) -> dict[str, str]:
    fields: dict[str, str] = await place.ledger.redis.hgetall(f"{keys.PREDICTION}{ref}")  # type: ignore[assignment]  # decoded
    return fields


def manifests(place: Workplace) -> list[Path]:
    return sorted(place.outputs.rglob("manifest.json"))


def lose_manifests(place: Workplace) -> None:
    for path in manifests(place):
        path.unlink()


async def test_the_payload_stands_in_the_manifest_alone(redis_url: str, tmp_path: Path) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.CLEAN)
        ref = await ended(place, shop, said)
        record = await place.record(ref)
        assert (record.payload, record.callback) == ({}, None)
        (path,) = manifests(place)
        manifest = json.loads(path.read_bytes())
        assert (manifest["payload"], manifest["callback"]) == (said, AROUND.named())


@pytest.mark.parametrize("scenario", [Scenario.FAILED, Scenario.MODERATION])
async def test_the_payload_of_a_failure_stays_also_beside_its_manifest(
    redis_url: str, tmp_path: Path, scenario: Scenario
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(scenario)
        ref = await ended(place, shop, said)
        (path,) = manifests(place)
        assert json.loads(path.read_bytes())["payload"] == said
        assert (await place.record(ref)).payload == said


@pytest.mark.parametrize("lost", [False, True])
async def test_a_replay_fetches_what_is_gone_and_keeps_what_the_manifest_says(
    redis_url: str, tmp_path: Path, lost: bool
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.MULTI)
        ref = await ended(place, shop, said)
        files, before = place.files(), await place.prediction(ref)
        (place.outputs / files[0]).unlink()
        if lost:
            lose_manifests(place)
        await place.ledger.predictions.replay(ref)
        after = await place.worked(shop, ref)
        assert place.files() == files
        assert after["outputs"] == before["outputs"]
        manifest = place.manifest(ref)
        assert manifest is not None
        assert manifest["payload"] == ({"outputs": said["outputs"]} if lost else said)
        assert manifest["callback"] == (None if lost else AROUND.named())
        await place.delivered(shop, ref)
        told = place.told("prediction.completed")
        assert (len(told), len({line["event_id"] for line in told})) == (2, 1)


async def test_a_replay_of_what_was_lost_asks_the_urls_that_the_outputs_say(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.EXPIRED)
        ref = await ended(place, shop, said)
        lose_manifests(place)
        truth = place.sim.find(ref.id)
        assert truth is not None
        asked = sum(truth.hits.values())
        await place.ledger.predictions.replay(ref)
        after = await place.worked(shop, ref)
        assert (after["stage"], dispositions(after)) == (Stage.EXPIRED, [LOST] * len(said["outputs"]))
        assert sum(truth.hits.values()) > asked


@pytest.mark.parametrize("lost", [False, True])
async def test_deliveries_go_out_again_with_the_same_bytes(
    redis_url: str, tmp_path: Path, lost: bool
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        ref = await ended(place, shop, place.payload(Scenario.FLAGGED))
        if lost:
            lose_manifests(place)
        first = {line["event_id"]: line["body"] for line in place.told()}
        await place.ledger.deliveries.send_again(await place.ledger.reading.deliveries_of(ref))
        await place.delivered(shop, ref)
        assert len(place.told()) == 2 * len(first)
        assert {line["event_id"]: line["body"] for line in place.told()} == first


@pytest.mark.parametrize("lost", [False, True])
async def test_a_stricter_duplicate_takes_the_file_back(redis_url: str, tmp_path: Path, lost: bool) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.CLEAN)
        ref = await ended(place, shop, said)
        if lost:
            lose_manifests(place)
        await place.complete(said | {"has_nsfw_contents": [True]})
        after = await place.worked(shop, ref)
        await place.delivered(shop, ref)
        assert dispositions(after) == [HELD]
        assert [path.startswith("held/") for path in place.files()] == [True]
        assert [line["type"] for line in place.told()] == ["prediction.completed", "output.held"]
        assert place.manifest(ref) is None
        manifest = place.manifest(ref, held=True)
        assert manifest is not None
        assert manifest["payload"] == ({"outputs": said["outputs"]} if lost else said)


@pytest.mark.parametrize("lost", [False, True])
async def test_a_review_moves_the_file_and_takes_the_manifest_along(
    redis_url: str, tmp_path: Path, lost: bool
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.UNKNOWN)
        ref = await ended(place, shop, said)
        before = await place.prediction(ref)
        if lost:
            lose_manifests(place)
        for decision, became in ((Decision.APPROVE, RELEASED), (Decision.UNDO, HELD)):
            await place.ledger.reviews.decide(ref, 0, decision, "ada", "looks fine")
            after = await place.worked(shop, ref)
            await place.delivered(shop, ref)
            assert dispositions(after) == [became]
            manifest = place.manifest(ref, held=became is HELD)
            assert manifest is not None
            assert manifest["payload"] == ({"outputs": said["outputs"]} if lost else said)
        assert after["finished_at"] == before["finished_at"]
        assert steps(after)[: len(before["timeline"])] == steps(before)


async def test_a_text_that_is_covered_in_the_open_is_not_lost(redis_url: str, tmp_path: Path) -> None:
    """Of two manifests the one under `held/` has it."""
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.CLEAN)
        texts = [*said["outputs"], "a flagged line"]
        said |= {"outputs": texts, "has_nsfw_contents": [False, True]}
        ref = await ended(place, shop, said)
        await place.ledger.predictions.replay(ref)
        await place.worked(shop, ref)
        held, covered = place.manifest(ref, held=True), place.manifest(ref)
        assert held is not None
        assert covered is not None
        assert (held["payload"]["outputs"], covered["payload"]["outputs"]) == (texts, [texts[0], None])


async def test_a_manifest_that_says_nothing_is_as_good_as_lost(redis_url: str, tmp_path: Path) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.CLEAN)
        ref = await ended(place, shop, said)
        for text in ("no JSON", "[]", "{}", '{"payload": 1}', '{"payload": {}}'):
            manifests(place)[0].write_text(text)
            await place.ledger.predictions.replay(ref)
            assert (await place.worked(shop, ref))["stage"] == Stage.DONE
            manifest = place.manifest(ref)
            assert manifest is not None
            assert manifest["payload"] == {"outputs": said["outputs"]}
