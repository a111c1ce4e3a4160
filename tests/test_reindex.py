"""The ledger rebuilt from manifests: of what, in which order, beside what it has, and what cannot be."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from service import clock, keys
from service.ledger.query import Query, parse
from service.prediction import Stage
from service.review import Decision
from service.simulator.scenario import Scenario
from service.storage import open_vault
from tests.commandline import CommandLine
from tests.faults.moves import illegal_moves
from tests.workplace import shop_of, steps, workplace
from workers.reindex import Reindex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from service.prediction import Ref
    from tests.workplace import Workplace
    from workers.reindex import Report
    from workers.workshop import Workshop

pytestmark = pytest.mark.anyio

ADDED = ("stage", "reason", "finished_at", "error", "ledger")
"""To manifests, with the version that can rebuild."""


@asynccontextmanager
async def at_work(redis_url: str, folder: Path, **changes: Any) -> AsyncIterator[tuple[Workplace, Workshop]]:
    async with workplace(redis_url, folder, **changes) as place, shop_of(place) as shop:
        yield place, shop


async def ended(place: Workplace, shop: Workshop, *scenarios: Scenario) -> list[Ref]:
    refs = [await place.complete(place.payload(scenario)) for scenario in scenarios]
    for ref in refs:
        await place.worked(shop, ref)
    return refs


async def lose(place: Workplace) -> None:
    await place.ledger.redis.flushall()


async def reindexed(place: Workplace, *, dry: bool = False) -> Report:
    given = place.settings
    vault = open_vault(given.effective_storage_url, given.held_storage_url, threads=2)
    try:
        return await Reindex(place.ledger, vault, given.retention, dry=dry).run()
    finally:
        await vault.aclose()


async def listed(place: Workplace, words: str = "") -> list[str]:
    items, _ = await place.ledger.reading.page(parse(words, clock.now()), 200, None)
    return [item["id"] for item in items]


def change(place: Workplace, ref: Ref, **changes: Any) -> None:
    """In its manifest, wherever that stands; None takes it out."""
    (path,) = place.outputs.rglob(f"{ref.id}/manifest.json")
    said = json.loads(path.read_bytes()) | changes
    path.write_text(json.dumps({name: value for name, value in said.items() if value is not None}))


async def test_a_look_writes_nothing_and_another_run_finds_nothing_left(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        await ended(place, shop, Scenario.CLEAN, Scenario.UNKNOWN, Scenario.FAILED)
        before = await listed(place)
        await lose(place)
        look = await reindexed(place, dry=True)
        assert (look.found, look.missing, look.rebuilt) == (3, 3, 0)
        assert await place.ledger.redis.dbsize() == 0
        done, again = await reindexed(place), await reindexed(place)
        assert (done.rebuilt, done.known, again.rebuilt, again.known) == (3, 0, 0, 3)
        assert await listed(place) == before
        assert await place.ledger.redis.exists("rq:queue:catchlight") == 0
        await place.ledger.sweeping.trim(100)
        assert await place.ledger.redis.hget(keys.MARKED, "from") == "0"
        for words, expected in (("nsfw:unknown", before[1:2]), ("err:provider_failed", before[:1])):
            assert await listed(place, words) == expected


async def test_what_the_ledger_has_stays_as_it_is_and_stands_where_it_stood(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        lost, kept = await ended(place, shop, Scenario.CLEAN, Scenario.CLEAN)
        change(place, kept, status="of another time")
        was = await place.prediction(kept)
        await place.ledger.redis.zrem(keys.INDEX, str(lost))
        await place.ledger.redis.delete(keys.PREDICTION + str(lost))
        done = await reindexed(place)
        assert (done.rebuilt, done.known) == (1, 1)
        assert await place.prediction(kept) == was
        assert (await place.prediction(lost))["stage"] == "done"


async def test_it_can_be_replayed_and_a_duplicate_is_known(redis_url: str, tmp_path: Path) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.CLEAN)
        ref = await place.complete(said)
        await place.worked(shop, ref)
        files = place.files()
        await lose(place)
        await reindexed(place)
        await place.complete(said)
        found = await place.prediction(ref)
        assert (found["stage"], "contradicted" in steps(found)) == ("done", False)
        assert await place.ledger.predictions.replay(ref) == Stage.ACCEPTED
        again = await place.worked(shop, ref)
        assert (again["stage"], again["attempts"], place.files()) == ("done", 2, files)
        manifest = place.manifest(ref)
        assert manifest is not None
        assert manifest["payload"] == said
        assert list(illegal_moves(again["timeline"])) == []
        assert [one["event"] for one in again["deliveries"]] == ["prediction.completed"]


async def test_one_that_is_rebuilt_becomes_compact_like_any_other(redis_url: str, tmp_path: Path) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        (ref,) = await ended(place, shop, Scenario.FLAGGED)
        await lose(place)
        await reindexed(place)
        before = await place.prediction(ref)
        assert await place.ledger.compacting.compact(0, 10) == (1, 1)
        assert await place.prediction(ref) == before


async def test_manifests_of_an_older_version_are_read_too_and_stand_before_the_others(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        refs = await ended(
            place, shop, Scenario.CLEAN, Scenario.UNKNOWN, Scenario.EXPIRED, Scenario.TEXT, Scenario.CLEAN
        )
        await place.ledger.reviews.decide(refs[1], 0, Decision.REJECT, "ada", "no")
        await place.worked(shop, refs[1])
        before = {ref: await place.prediction(ref) for ref in refs}
        order = await listed(place)
        for ref in refs[:4]:
            change(place, ref, **dict.fromkeys(ADDED))
        await lose(place)
        assert (await reindexed(place)).rebuilt == 5
        for ref in refs:
            found = await place.prediction(ref)
            same = (
                "stage",
                "reason",
                "status",
                "received_at",
                "created_at",
                "outputs",
                "reviews",
                "attempts",
            )
            assert {name: found[name] for name in same} == {name: before[ref][name] for name in same}
        assert await listed(place) == order


async def test_what_is_past_its_retention_does_not_come_back(redis_url: str, tmp_path: Path) -> None:
    async with at_work(redis_url, tmp_path, retention="30d") as (place, shop):
        old, _ = await ended(place, shop, Scenario.CLEAN, Scenario.CLEAN)
        change(place, old, finished_at="2026-01-01T00:00:00.000Z", timeline=[])
        await lose(place)
        done = await reindexed(place)
        assert (done.rebuilt, done.aged, done.why) == (1, 1, [])


async def test_of_two_manifests_of_one_prediction_the_one_in_the_open_counts(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        said = place.payload(Scenario.CLEAN)
        texts = [*said["outputs"], "a clean line", "a flagged line"]
        ref = await place.complete(said | {"outputs": texts, "has_nsfw_contents": [False, False, True]})
        await place.worked(shop, ref)
        before = await place.prediction(ref)
        assert len(list(place.outputs.rglob("manifest.json"))) == 2
        await lose(place)
        done = await reindexed(place)
        assert (done.found, done.rebuilt, done.known) == (1, 1, 0)
        assert (await place.prediction(ref))["outputs"] == before["outputs"]


async def test_held_files_in_a_store_of_their_own_are_found(redis_url: str, tmp_path: Path) -> None:
    elsewhere = (tmp_path / "elsewhere").as_uri()
    async with at_work(redis_url, tmp_path, held_storage_url=elsewhere) as (place, shop):
        await ended(place, shop, Scenario.UNKNOWN, Scenario.CLEAN)
        queue = await place.ledger.reading.held(Query(), 10, None)
        await lose(place)
        assert (await reindexed(place)).rebuilt == 2
        (item,), _ = await place.ledger.reading.held(Query(), 10, None)
        assert item == queue[0][0]
        assert await place.ledger.redis.zcard(keys.KEPT_HELD) == 1


@pytest.mark.parametrize(
    "damage",
    [
        {"id": "another"},
        {"stage": "of tomorrow"},
        {"outputs": 7},
        {"outputs": [{"index": 0, "nsfw": "green"}]},
        {"received_at": "yesterday"},
        {"attempts": "many"},
        {"ledger": {"generation": 1}},
        {"timeline": [{"at": "2026-11-28T12:00:00.000Z"}]},
    ],
    ids=str,
)
async def test_one_that_cannot_be_read_is_named_and_stops_nobody(
    damage: dict[str, Any], redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        bad, _ = await ended(place, shop, Scenario.CLEAN, Scenario.CLEAN)
        change(place, bad, **damage)
        await lose(place)
        done = await reindexed(place)
        assert (done.rebuilt, done.unreadable) == (1, 1)
        assert bad.id in done.why[0]["manifest"]
        assert done.why[0]["why"]


async def test_the_command_asks_before_it_acts_and_says_what_it_could_not_read(
    redis_url: str, tmp_path: Path
) -> None:
    async with at_work(redis_url, tmp_path) as (place, shop):
        bad, _ = await ended(place, shop, Scenario.CLEAN, Scenario.CLEAN)
        (path,) = place.outputs.rglob(f"{bad.id}/manifest.json")
        path.write_text("{")
        await lose(place)
        cli = CommandLine(tmp_path, redis_url)
        ours = {"storage_url": place.outputs.as_uri()}
        asked = cli.run("reindex", "--from", "storage", **ours)
        assert (asked.code, "1 to rebuild" in asked.out, "--yes" in asked.err) == (2, True, True)
        assert await listed(place) == []
        done = cli.run("reindex", "--from", "storage", "--yes", "--json", **ours)
        assert (done.code, done.json["rebuilt"], done.json["unreadable"]) == (5, 1, 1)
        away = CommandLine(tmp_path, "redis://127.0.0.1:9/0").run("reindex", **ours)
        assert away.code == 4
