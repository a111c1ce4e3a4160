"""The checklist: what is to do at first, each step turning green, and the address at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.comparing import State as Compared
from service.hooks.standing import Standing
from service.hooks.standing import State as HookState
from service.ledger import Ledger
from service.ledger.durability import Finding
from service.ledger.durability import State as Found
from service.ledger.roles import Alive, Said
from service.ledger.server import Server
from service.prediction import Disposition
from service.settings import Settings
from service.troubles import Facts
from service.web.dashboard import checklist
from service.web.dashboard.checklist import State
from tests.pages import get
from tests.pictures import encoded, scene
from tests.serving import SECRET, callback, serving
from tests.shown import File, show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.serving import Served

NOTHING = Facts(0.0, [], stages={}, scaling={}, tally={})
PICTURE = encoded(scene(1, 64, 40))
KEY = {"wavespeed_api_key": "k"}


def states(facts: Facts = NOTHING, *, stored: bool = False, **settings: Any) -> dict[str, State]:
    wanted = Settings.model_validate({"webhook_secrets": SECRET} | settings)
    return {one.name: one.state for one in checklist.steps(facts, wanted, storage="s3://b", stored=stored)}


def test_at_first_nearly_all_of_it_is_to_do() -> None:
    assert states() == {
        "redis": State.DONE,
        "storage": State.TO_DO,
        "sweeper": State.TO_DO,
        "secret.wavespeed": State.DONE,
        "key.wavespeed": State.TO_DO,
        "public_url": State.TO_DO,
        "callback": State.TO_DO,
        "output": State.TO_DO,
        "hook": State.OPTIONAL,
    }


def test_what_is_to_do_says_how() -> None:
    for step in checklist.steps(NOTHING, Settings(), storage="s3://b", stored=False):
        assert step.found
        assert step.hints or step.state is State.DONE


def test_in_the_end_all_of_it_is_done() -> None:
    facts = replace(
        NOTHING,
        roles=[Alive("work", "w", 0.0), Alive("sweep", "s", 0.0)],
        hooks=[Standing("crm", HookState.ENABLED)],
        tally={"via_callback": 1, "deliveries_delivered": 1},
        drifts=[{"source": "wavespeed"}],
    )
    done = states(facts, stored=True, public_url="https://hooks.example", **KEY)
    assert set(done.values()) == {State.DONE}


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("redis", replace(NOTHING, server=Server(promises=[Finding("x", Found.FAIL, "everysec", "set it")]))),
        ("storage", replace(NOTHING, roles=[Alive("work", "w", 0.0, said=Said(0, "no room"))])),
        (
            "secret.wavespeed",
            replace(
                NOTHING, secrets=[{"source": "wavespeed", "state": Compared.DRIFTED, "detail": "it changed"}]
            ),
        ),
        ("hook", replace(NOTHING, hooks=[Standing("crm", HookState.ENABLED)])),
        ("output", replace(NOTHING, tally={"stage_done": 1})),
        ("callback", replace(NOTHING, tally={"refused_unparseable": 1})),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_right_yet_is_to_do(name: str, facts: Facts) -> None:
    assert states(facts)[name] is State.TO_DO


def test_texts_have_no_file_and_that_is_no_alarm() -> None:
    facts, settings = replace(NOTHING, tally={"stage_done": 2}), Settings()
    found = {one.name: one for one in checklist.steps(facts, settings, storage="b", stored=False, texts=True)}
    assert found["output"].state is State.OPTIONAL
    assert found["output"].found == "2 predictions done, and the newest are texts: nothing to fetch"


def test_what_a_rented_redis_does_not_show_is_left_to_the_operator() -> None:
    hidden = Server(promises=[Finding("durability", Found.WARN, "not shown", "see to it")])
    assert states(replace(NOTHING, server=hidden))["redis"] is State.OPTIONAL


@pytest.mark.parametrize("url", ["http://hooks.example", "https://127.0.0.1", "http://localhost:8080"])
def test_an_address_that_the_provider_cannot_use_is_to_do(url: str) -> None:
    assert states(public_url=url)["public_url"] is State.TO_DO


def test_each_source_has_its_steps_and_its_address() -> None:
    sources = [{"name": "studio", "secrets": ["whsec_x"], "provider_url": "https://studio.example/v3"}]
    settings: dict[str, Any] = {"sources": sources, "public_url": "https://hooks.example"}
    assert states(**settings)["secret.studio"] is State.DONE
    assert states(**settings)["key.studio"] is State.TO_DO
    _, studio = checklist.addresses(Settings.model_validate(settings))
    assert studio.url == "https://hooks.example/webhooks/studio"
    assert studio.parameter == "?webhook=https%3A%2F%2Fhooks.example%2Fwebhooks%2Fstudio"
    assert studio.submit == f"https://studio.example/v3/MODEL{studio.parameter}"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, public_url="https://hooks.example") as served:
        yield served


@pytest.mark.anyio
async def test_the_page_turns_green_as_things_happen(server: Served, redis_url: str, tmp_path: Path) -> None:
    async def green() -> set[str]:
        page = await get(server.client, "/setup")
        steps = [tag for name, tag in page.tags if tag.get("id", "").startswith("step-")]
        return {tag["id"].removeprefix("step-") for tag in steps if tag["class"] == "good"}

    ledger = Ledger(redis_url, 8e5)
    try:
        assert await green() == {"redis", "secret.wavespeed", "public_url"}
        await ledger.roles.beat("work", "w1")
        await ledger.roles.beat("sweep", "s1")
        assert {"storage", "sweeper"} <= await green()
        await server.call_back(callback("p1"))
        assert "callback" in await green()
        await show(redis_url, tmp_path, "p2", File(PICTURE, disposition=Disposition.STORED, nsfw="clean"))
        assert "output" in await green()
    finally:
        await ledger.aclose()


@pytest.mark.anyio
async def test_it_ends_with_the_exact_address(server: Served, redis_url: str) -> None:
    page = await get(server.client, "/setup")
    copied = [tag.get("data-copy") for _, tag in page.tags]
    assert "?webhook=https%3A%2F%2Fhooks.example%2Fwebhooks%2Fwavespeed" in copied
    assert "https://hooks.example/webhooks/wavespeed" in copied
