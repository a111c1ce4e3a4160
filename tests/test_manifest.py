"""The manifest: one beside the files, under `held/` when none is stored, and no text where none may read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.prediction import Disposition, Nsfw
from service.simulator.scenario import Scenario
from tests.workplace import shop_of, workplace
from workers.manifest import in_the_open
from workers.outputs import Output

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ("", False),
        ("stored clean", True),
        ("released flagged", True),
        ("held flagged", False),
        ("stored clean, held flagged", True),
        ("stored clean, skipped unknown", True),
        ("skipped clean", True),
        ("skipped clean, skipped unknown", False),
        ("skipped flagged", False),
        ("skipped clean, held unknown", False),
        ("skipped clean, lost clean", True),
        ("lost clean", False),
        ("dropped flagged", False),
    ],
)
def test_what_keeps_a_manifest_in_the_open(outputs: str, expected: bool) -> None:
    made = [
        Output(index, Nsfw(one.split()[1]), disposition=Disposition(one.split()[0]))
        for index, one in enumerate(filter(None, outputs.split(", ")))
    ]
    assert in_the_open(made) is expected


@pytest.mark.anyio
async def test_it_tells_what_the_provider_said_and_what_became_of_it(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        said = place.payload(Scenario.CLEAN, colour="blue")
        ref = await place.complete(said)
        ended = await place.worked(shop, ref)
        found = place.manifest(ref)
        assert found is not None
        assert found["payload"] == said
        assert {name: found[name] for name in ("id", "source", "model", "status", "received_via")} == {
            name: ended[name] for name in ("id", "source", "model", "status", "received_via")
        }
        (output,), (known,) = found["outputs"], ended["outputs"]
        assert {name: output[name] for name in known} == known
        assert (output["url"], "gone" in output) == (said["outputs"][0], False)
        assert [line["step"] for line in found["timeline"]] == [
            *("called_back", "accepted", "leased", "judged", "fetched", "stored"),
        ]
        assert place.manifest(ref, held=True) is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("scenario", "held"),
    [
        (Scenario.CLEAN, False),
        (Scenario.UNKNOWN, True),
        (Scenario.TEXT, False),
        (Scenario.EMPTY, True),
        (Scenario.EXPIRED, True),
    ],
)
async def test_there_is_one(redis_url: str, tmp_path: Path, scenario: Scenario, held: bool) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await place.complete(place.payload(scenario))
        await place.worked(shop, ref)
        assert (place.manifest(ref) is None, place.manifest(ref, held=True) is None) == (held, not held)


@pytest.mark.anyio
async def test_a_text_that_is_not_clean_is_kept_only_under_held(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        said = place.payload(Scenario.CLEAN)
        texts = [*said["outputs"], "a clean line", "a flagged line"]
        ref = await place.complete(said | {"outputs": texts, "has_nsfw_contents": [False, False, True]})
        await place.worked(shop, ref)
        open_one, held_one = place.manifest(ref), place.manifest(ref, held=True)
        assert open_one is not None
        assert held_one is not None
        assert open_one["payload"]["outputs"] == [*texts[:2], None]
        assert held_one["payload"]["outputs"] == texts
        everywhere = [
            path for path in place.outputs.rglob("*.json") if b"a flagged line" in path.read_bytes()
        ]
        assert [path.relative_to(place.outputs).parts[0] for path in everywhere] == ["held"]


@pytest.mark.anyio
async def test_a_bare_text_is_covered_like_a_list_of_one(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        said = place.payload(Scenario.CLEAN, outputs="a line", has_nsfw_contents=None)
        ref = await place.complete(said)
        await place.worked(shop, ref)
        assert place.manifest(ref) is None
        held = place.manifest(ref, held=True)
        assert held is not None
        assert held["payload"]["outputs"] == "a line"
