"""The gallery: what may be shown and nothing else, by day, each with its size, and one of them open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.ledger import Ledger
from service.prediction import Disposition, Ref
from service.web.dashboard.gallery import Tile, by_day, tiles
from tests.builders import accept, accept_one, callback, completed, finish, output
from tests.house import ROOT
from tests.pages import XSS, dangers, get
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.pages import Page
    from tests.serving import Served

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("outputs")
    async with serving(redis_server, storage_url=folder.as_uri()) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty(redis_url: str) -> None:
    """Every test begins with an empty ledger."""


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, 8e5)
    yield opened
    await opened.aclose()


async def show(ledger: Ledger, id_: str, *outputs: dict[str, Any], **said: Any) -> None:
    payload = {"id": id_, "status": "completed", "outputs": [], "input": {"prompt": "a fox", "seed": 7}}
    await accept_one(ledger, callback(completed(id_, "c" * len(outputs), payload=payload, **said)))
    await finish(ledger, id_, outputs=outputs)


def shown(page: Page) -> list[str]:
    return [found["data-tile"] for _, found in page.tags if "data-tile" in found]


async def test_what_is_stored_or_released_is_there_and_what_is_held_never(
    server: Served, ledger: Ledger
) -> None:
    every = [output(index, word) for index, word in enumerate(Disposition)]
    await show(ledger, "p1", *every, output(9, media_type="audio/mpeg"), output(10, media_type=None))
    page = await get(server.client, "/gallery")
    free = [one["index"] for one in every if one["disposition"] in ("stored", "released")]
    assert shown(page) == [f"main:p1:{index}" for index in free]
    for one in every:
        if one["index"] not in free:
            await get(server.client, f"/gallery?open=main:p1:{one['index']}", 404)


async def test_each_has_its_place_before_it_is_loaded(server: Served, ledger: Ledger) -> None:
    film = output(1, media_type="video/mp4", width=None, height=None)
    await show(ledger, "p1", output(0, width=640, height=480), film)
    page = await get(server.client, "/gallery")
    images = [(found["width"], found["height"]) for tag, found in page.tags if tag == "img"]
    assert images == [("640", "480"), ("480", "320")]
    assert "video" in page.text


async def test_one_is_open_by_its_address_with_what_it_was_made_from(server: Served, ledger: Ledger) -> None:
    await show(ledger, "p1", output(0), output(1), output(2))
    page = await get(server.client, "/gallery?query=via:callback&open=main:p1:1")
    for word in ("acme/painter", "a fox", "seed", "7", '"prompt": "a fox"', "1.0 kB, image/png, 8"):
        assert word in page.text
    at = "/gallery?query=via%3Acallback&open=main%3Ap1%3A"
    labelled = {found["data-to"]: found["href"] for _, found in page.tags if "data-to" in found}
    assert labelled == {"previous": f"{at}0", "next": f"{at}2", "close": "/gallery?query=via%3Acallback"}
    assert {"/predictions/p1?source=main", "/media/main/p1/1"} <= set(page.links)
    assert any(tag == "img" and found["src"] == "/media/main/p1/1" for tag, found in page.tags)


async def test_a_film_is_played(server: Served, ledger: Ledger) -> None:
    await show(ledger, "p1", output(0, media_type="video/mp4"))
    page = await get(server.client, "/gallery?open=main:p1:0")
    (film,) = [found for tag, found in page.tags if tag == "video"]
    assert (film["src"], film["poster"]) == ("/media/main/p1/0", "/media/main/p1/0/thumb")


@pytest.mark.parametrize(
    "wanted", ["x", "main:p1", "main:p1:x", "main:p2:0", "a b:c:0", "main:p1:9999999", "::"]
)
async def test_what_is_not_there_is_not_found(server: Served, ledger: Ledger, wanted: str) -> None:
    await show(ledger, "p1", output(0))
    await get(server.client, f"/gallery?open={wanted}", 404)


async def test_older_ones_come_by_a_link_that_follows_itself(server: Served, ledger: Ledger) -> None:
    await accept(ledger, *(callback(completed(f"p{number}")) for number in range(60)))
    for number in range(60):
        await finish(ledger, f"p{number}", outputs=[output(0)])
    first = await get(server.client, "/gallery")
    (older,) = [found for _, found in first.tags if found.get("hx-trigger") == "revealed"]
    assert (len(shown(first)), older["href"]) == (50, older["hx-get"])
    second = await get(server.client, older["href"])
    assert len(set(shown(first)) | set(shown(second))) == 60
    assert "/gallery" in second.links


async def test_nothing_to_show_and_a_wrong_query_say_so(server: Served) -> None:
    assert "when it is stored" in (await get(server.client, "/gallery")).text
    assert "None of these" in (await get(server.client, "/gallery?query=stage:done")).text
    assert "`stage:huh`" in (await get(server.client, "/gallery?query=stage:huh")).text


@pytest.mark.parametrize("payload", XSS)
async def test_strangers_words_are_words(server: Served, ledger: Ledger, payload: str) -> None:
    said = {"id": "p1", "input": {"prompt": payload, payload: [payload]}}
    await accept_one(ledger, callback(completed("p1", model=payload, payload=said)))
    await finish(ledger, "p1", outputs=[output(0, media_type=f"image/{payload}")])
    page = await get(server.client, "/gallery?open=main:p1:0")
    assert payload.split(maxsplit=1)[0] in page.text
    assert dangers(page) == []


def test_days_are_newest_first_whatever_the_order_in_which_they_were_heard_of() -> None:
    made = [Tile(Ref("main", day), 0, day, "m", "image/png", 1, 1) for day in ("2026-11-27", "2026-11-28")]
    assert list(by_day(made)) == ["2026-11-28", "2026-11-27"]


def test_of_what_has_no_day_the_day_is_empty() -> None:
    item = {"source": "main", "id": "p1", "model": "", "created_at": None, "received_at": None}
    assert [tile.day for tile in tiles(item | {"outputs": [output(0)]})] == [""]


@pytest.mark.parametrize(
    ("size", "rows"),
    [((64, 64), 27), ((1024, 768), 21), ((768, 1344), 47), ((9000, 10), 7), ((10, 9000), 61)],
)
async def test_a_tile_spans_rows_by_the_shape_of_its_picture_and_each_number_has_its_class(
    size: tuple[int, int], rows: int
) -> None:
    tile = Tile(Ref("wavespeed", "p"), 0, "2026-11-28", "m", "image/png", *size)
    assert tile.rows == rows
    styles = (ROOT / "service/web/dashboard/static/gallery.css").read_text("utf-8")
    assert f".rows-{rows} {{ grid-row: span {rows}; }}" in styles
