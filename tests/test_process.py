"""One prediction from its completion to its end, with the real provider's stand-in, files and ledger."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.prediction import Disposition, Stage
from service.simulator.scenario import Scenario
from service.simulator.simulator import SimulatorConfig
from tests import origin
from tests.workplace import dispositions, shop_of, steps, workplace

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.anyio

STORED, HELD, LOST = Disposition.STORED, Disposition.HELD, Disposition.LOST
SKIPPED, DROPPED = Disposition.SKIPPED, Disposition.DROPPED


ENDS = {
    Scenario.CLEAN: {STORED},
    Scenario.MULTI: {STORED},
    Scenario.FLAGGED: {HELD, STORED},
    Scenario.UNKNOWN: {HELD},
    Scenario.EMPTY_FLAGS: {HELD},
    Scenario.SLOW: {STORED},
    Scenario.FLAKY: {STORED},
    Scenario.TRUNCATED: {STORED},
    Scenario.EXPIRED: {LOST},
    Scenario.OBJECT: {STORED},
    Scenario.TEXT: {SKIPPED},
    Scenario.CLASSIFIER: {SKIPPED},
}
"""Dispositions of the outputs; every other scenario is `clean` for a worker, or ends without any."""


async def test_every_scenario_ends_where_the_provider_meant_it(redis_url: str, tmp_path: Path) -> None:
    quick = SimulatorConfig(delay=(0, 0), media_bytes=2_000, stall=0.05)
    async with workplace(redis_url, tmp_path, config=quick) as place, shop_of(place) as shop:
        for scenario in Scenario:
            said = place.payload(scenario)
            ref = await place.complete(said)
            ended = await place.worked(shop, ref)
            assert ended["stage"] == scenario.stage, scenario
            expected = ENDS.get(
                scenario, {STORED} if scenario.stage is Stage.DONE and said["outputs"] else set()
            )
            assert set(dispositions(ended)) <= expected, scenario
            assert bool(ended["outputs"]) == bool(expected), scenario
            truth = place.sim.find(ref.id)
            assert truth is not None
            for output in ended["outputs"]:
                if output["disposition"] in (STORED, HELD):
                    assert output["sha256"] == truth.sha256[output["index"]]
        assert not [path for path in place.files() if path.startswith(".tmp/")]


async def test_a_stored_output_tells_all_that_is_known_of_it(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await place.complete(place.payload(Scenario.CLEAN))
        ended = await place.worked(shop, ref)
        (output,) = ended["outputs"]
        (file,) = place.files()
        data = (place.outputs / file).read_bytes()
        assert output["uri"] == (place.outputs / file).as_uri()
        assert (output["sha256"], output["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert output["media_type"].startswith("image/")
        assert min(output["width"], output["height"]) > 0
        assert (output["error"], ended["reason"], ended["attempts"]) == (None, None, 1)
        assert steps(ended) == [
            *("called_back", "accepted", "leased", "judged", "fetched", "stored", "committed", "event"),
        ]


async def test_what_is_not_clean_stands_only_under_held_and_leads_nobody_to_it(
    redis_url: str, tmp_path: Path
) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        for flags in (None, [], [True], ["false"], [0], [False, False]):
            said = place.payload(Scenario.CLEAN, has_nsfw_contents=flags)
            ref = await place.complete(said)
            ended = await place.worked(shop, ref)
            assert dispositions(ended) == [HELD]
            await place.delivered(shop, ref)
        assert all(path.startswith("held/") for path in place.files())
        outputs = [o for line in place.told() for o in json.loads(line["body"])["data"]["outputs"]]
        assert len(outputs) == 12
        assert {(o["disposition"], o["uri"], o["sha256"]) for o in outputs} == {(HELD, None, None)}
        assert "held/" not in "".join(line["body"] for line in place.told())


async def test_each_held_output_is_told_of_once_beside_the_completion(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        said = place.payload(Scenario.MULTI)
        flags = [index > 0 for index in range(len(said["outputs"]))]
        ref = await place.complete(said | {"has_nsfw_contents": flags})
        await place.worked(shop, ref)
        await place.delivered(shop, ref)
        assert sorted(line["type"] for line in place.told()) == [
            *(["output.held"] * sum(flags)),
            "prediction.completed",
        ]


async def test_bytes_of_a_type_that_is_not_allowed_are_held_whatever_they_call_themselves(
    redis_url: str, tmp_path: Path
) -> None:
    page = origin.answer(b"<!doctype html><script>alert(1)</script>", headers="Content-Type: image/png\r\n")
    async with (
        workplace(redis_url, tmp_path) as place,
        shop_of(place) as shop,
        origin.running({"/0.png": page}) as liar,
    ):
        ref = await place.complete(place.payload(Scenario.CLEAN, outputs=[liar.url("/0.png")]))
        (output,) = (await place.worked(shop, ref))["outputs"]
        assert (output["disposition"], output["error"]) == (HELD, "type_not_allowed")
        assert [path.startswith("held/") for path in place.files()] == [True]
        assert place.files()[0].endswith("/0.bin")


async def test_other_bytes_at_the_same_place_stand_beside_the_first(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        said = place.payload(Scenario.CLEAN)
        ref = await place.complete(said)
        await place.worked(shop, ref)
        (file,) = place.files()
        (place.outputs / file).write_bytes(b"other bytes")
        await place.ledger.redis.delete(f"{keys.PREDICTION}{ref}")
        await place.complete(said)
        ended = await place.worked(shop, ref)
        assert (place.outputs / file).read_bytes() == b"other bytes"
        assert ended["outputs"][0]["sha256"][:8] in ended["outputs"][0]["uri"]
        assert "conflict" in steps(ended)


async def test_a_stricter_duplicate_takes_the_file_back(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        said = place.payload(Scenario.CLEAN)
        ref = await place.complete(said)
        await place.worked(shop, ref)
        await place.delivered(shop, ref)
        assert place.manifest(ref) is not None
        await place.complete(said | {"has_nsfw_contents": [True]})
        ended = await place.worked(shop, ref)
        await place.delivered(shop, ref)
        assert dispositions(ended) == [HELD]
        assert ended["outputs"][0]["uri"].startswith((place.outputs / "held").as_uri())
        assert [path.startswith("held/") for path in place.files()] == [True]
        assert place.manifest(ref) is None
        assert place.manifest(ref, held=True) is not None
        assert [line["type"] for line in place.told()] == ["prediction.completed", "output.held"]
        await place.complete(said | {"has_nsfw_contents": [True]})
        assert await place.stage(ref) == Stage.DONE


async def test_the_same_url_twice_is_two_files(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        said = place.payload(Scenario.CLEAN)
        twice = {"outputs": said["outputs"] * 2, "has_nsfw_contents": [False, False]}
        ended = await place.worked(shop, await place.complete(said | twice))
        assert [output["index"] for output in ended["outputs"]] == [0, 1]
        assert len({output["uri"] for output in ended["outputs"]}) == 2
        assert len(place.files()) == 2


RULE = '[[moderation]]\nmodel = "{}/*"\nunknown = "release"\n'


@pytest.mark.parametrize(
    ("tables", "disposition", "files"),
    [
        ('moderation_unknown = "drop"\n', DROPPED, []),
        ('moderation_unknown = "release"\n', STORED, [False]),
        (RULE.format("wavespeed-ai"), STORED, [False]),
        (RULE.format("other"), HELD, [True]),
    ],
)
async def test_the_policy_decides_per_class_and_per_model(
    redis_url: str, tmp_path: Path, tables: str, disposition: Disposition, files: list[bool]
) -> None:
    async with workplace(redis_url, tmp_path, tables=tables) as place, shop_of(place) as shop:
        ref = await place.complete(place.payload(Scenario.UNKNOWN))
        ended = await place.worked(shop, ref)
        assert (ended["stage"], dispositions(ended)) == (Stage.DONE, [disposition])
        assert [path.startswith("held/") for path in place.files()] == files


async def test_a_replay_fetches_again_what_somebody_removed(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await place.complete(place.payload(Scenario.MULTI))
        before = await place.worked(shop, ref)
        await place.delivered(shop, ref)
        files = place.files()
        (place.outputs / files[0]).unlink()
        truth = place.sim.find(ref.id)
        assert truth is not None
        await place.ledger.predictions.replay(ref)
        after = await place.worked(shop, ref)
        assert place.files() == files
        assert [o["sha256"] for o in after["outputs"]] == [o["sha256"] for o in before["outputs"]]
        assert sorted(truth.hits.values())[-2:] == [1, 2]
        assert after["received_via"] == "replay"
        await place.delivered(shop, ref)
        ids = {line["event_id"] for line in place.told("prediction.completed")}
        assert (len(place.told("prediction.completed")), len(ids)) == (2, 1)
