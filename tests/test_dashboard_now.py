"""The first page: what is wrong with what ends it, what came through, and the latest that may be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service import clock, keys
from service.ledger import Ledger
from service.ledger.roles import Said
from service.prediction import Disposition
from service.troubles import ROLES
from tests.pages import BROWSER, Page, get
from tests.pictures import encoded, scene
from tests.serving import callback, serving
from tests.shown import File, show
from tests.visitors import TOKENS, VIEWER, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.serving import Served

pytestmark = pytest.mark.anyio

PICTURE = encoded(scene(1, 64, 40))
HOOKS = [{"name": "crm", "url": "https://crm.example/", "secret": "whsec_c2VjcmV0"}]
FINE: dict[str, Any] = {"public_url": "https://hooks.example"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, hooks=HOOKS, **FINE) as served:
        yield served


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, 8e5)
    for role in ROLES:
        await opened.roles.beat(role, "host-1")
    yield opened
    await opened.aclose()


async def test_when_all_is_well_it_says_so(server: Served, ledger: Ledger) -> None:
    page = await get(server.client, "/")
    assert "All is well" in page.text
    assert "Nothing to see yet" in page.text
    assert "takes events" in page.text


async def test_what_is_wrong_stands_first_with_its_command_and_its_button(
    server: Served, ledger: Ledger
) -> None:
    await ledger.roles.leave("work", "host-1")
    await ledger.deliveries.disable("crm", "moving", clock.now())
    await server.call_back(callback("p1"))
    page = await get(server.client, "/")
    assert "Something is wrong" in page.text
    assert page.text.index("no worker is alive while work waits") < page.text.index(
        "the hook crm is disabled"
    )
    assert {"catchlight work", "catchlight hooks enable crm"} <= {
        tag.get("data-copy") for _, tag in page.tags
    }
    assert "/workers" in page.links
    assert page.form("Enable crm").action == "/hooks/crm/enable"


async def test_a_long_reason_is_cut_and_what_waits_for_that_hook_is_counted(
    server: Served, ledger: Ledger
) -> None:
    why = "x" * 200
    await ledger.deliveries.disable("crm", why, clock.now())
    await ledger.redis.sadd(f"{keys.DELIVERIES_PARKED}crm", "dlv_1", "dlv_2")
    page = await get(server.client, "/")
    assert why not in page.text
    assert [tag for _, tag in page.tags if why in (tag.get("title") or "")]
    assert "+ 2 waiting behind disabled hooks" in page.text


async def test_a_storage_that_takes_nothing_is_told_by_its_workers(server: Served, ledger: Ledger) -> None:
    await ledger.roles.beat("work", "host-1", said=Said(0, "no room: 3 MiB of the disk are free"))
    page = await get(server.client, "/")
    assert "Something is wrong" in page.text
    assert "3 MiB of the disk are free" in page.text


async def test_throughput_is_drawn_with_what_came_without_a_callback(server: Served, ledger: Ledger) -> None:
    await ledger.history.keep()
    for number in range(3):
        await server.call_back(callback(f"p{number}"))
    page = await get(server.client, "/")
    bars = [tag for name, tag in page.tags if name == "rect"]
    assert [bar["class"] for bar in bars] == ["busy"]
    (drawing,) = [tag for name, tag in page.tags if tag.get("role") == "img"]
    assert drawing["aria-label"].startswith("Completions a minute, last hour: 3 in all, 3 at most; 0 of them")
    day = await get(server.client, "/?span=day")
    assert any("last day" in tag.get("aria-label", "") for _, tag in day.tags)
    assert (await get(server.client, "/?span=nonsense")).status == 200


async def test_the_latest_are_shown_and_what_is_held_is_counted(
    server: Served, ledger: Ledger, redis_url: str, tmp_path: Path
) -> None:
    seen = File(PICTURE, disposition=Disposition.STORED, nsfw="clean")
    text = File(b"words", "text/plain", Disposition.STORED, "clean")
    await show(redis_url, tmp_path, "shown", seen, text)
    await show(
        redis_url,
        tmp_path,
        "hidden",
        File(PICTURE),
        File(PICTURE, disposition=Disposition.REJECTED),
    )
    page = await get(server.client, "/")
    (picture,) = [tag for name, tag in page.tags if name == "img"]
    assert picture["src"] == "/media/wavespeed/shown/0/thumb"
    assert (picture["width"], picture["height"]) == ("160", "160")
    assert "/predictions/shown?source=wavespeed" in page.links
    assert "1 prediction is held and not shown" in page.text


async def test_a_viewer_sees_the_command_and_no_button(redis_url: str) -> None:
    async with serving(redis_url, hooks=HOOKS, **FINE, **TOKENS) as server:
        ledger = Ledger(redis_url, 8e5)
        await ledger.deliveries.disable("crm", "moving", clock.now())
        await ledger.aclose()
        answer = await server.client.get("/", headers=BROWSER | bearer(VIEWER))
        page = Page(answer)
        assert "catchlight hooks enable crm" in page.text
        assert "Enable crm" not in [form.label for form in page.forms]


async def test_a_strangers_words_stay_words(server: Served, ledger: Ledger) -> None:
    bad = "<script>alert(1)</script>"
    await ledger.roles.beat("work", bad, said=Said(0, bad))
    await ledger.deliveries.disable("crm", bad, clock.now())
    for path in ("/", "/workers"):
        answer = await server.client.get(path, headers=BROWSER)
        assert bad not in answer.text
        assert "&lt;script&gt;" in answer.text
