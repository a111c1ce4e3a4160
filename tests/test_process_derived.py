"""What was made to look at an output goes when its file goes or moves, lest it be seen where it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.darkroom.asking import Darkroom
from service.darkroom.derived import Derived, Original
from service.prediction import Disposition
from service.review import Decision
from service.simulator.scenario import Scenario
from tests.workplace import dispositions, shop_of, workplace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from service.prediction import Ref
    from tests.workplace import Workplace
    from workers.workshop import Workshop

pytestmark = pytest.mark.anyio

APPROVE, REJECT, UNDO = Decision


@pytest.fixture
async def darkroom() -> AsyncIterator[Darkroom]:
    room = Darkroom()
    yield room
    await room.aclose()


async def look_at(place: Workplace, shop: Workshop, darkroom: Darkroom, ref: Ref) -> None:
    (output,) = (await place.record(ref)).outputs
    held = output["disposition"] == Disposition.HELD
    original = Original(output["key"], output["sha256"], held, output["media_type"], output["bytes"])
    assert await Derived(shop.vault, darkroom).thumb(original)
    assert len(place.files()) == 4


async def decide(place: Workplace, shop: Workshop, ref: Ref, decision: Decision) -> list[str]:
    await place.ledger.reviews.decide(ref, 0, decision, "ada", "")
    return dispositions(await place.worked(shop, ref))


async def test_released_and_taken_back(redis_url: str, tmp_path: Path, darkroom: Darkroom) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await place.complete(place.payload(Scenario.UNKNOWN))
        await place.worked(shop, ref)
        for decision, ends_as in ((APPROVE, Disposition.RELEASED), (UNDO, Disposition.HELD)):
            await look_at(place, shop, darkroom, ref)
            assert await decide(place, shop, ref, decision) == [ends_as]
            assert len(place.files()) == 1


async def test_rejected(redis_url: str, tmp_path: Path, darkroom: Darkroom) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await place.complete(place.payload(Scenario.UNKNOWN))
        await place.worked(shop, ref)
        await look_at(place, shop, darkroom, ref)
        assert await decide(place, shop, ref, REJECT) == [Disposition.REJECTED]
        assert len(place.files()) == 1


async def test_held_for_too_long(redis_url: str, tmp_path: Path, darkroom: Darkroom) -> None:
    async with workplace(redis_url, tmp_path) as place, shop_of(place) as shop:
        ref = await place.complete(place.payload(Scenario.UNKNOWN))
        await place.worked(shop, ref)
        await look_at(place, shop, darkroom, ref)
        assert await place.ledger.pruning.hand_over("held", 0.0, 10) == 1
        await place.worked(shop, ref)
        assert place.files() == []
