"""Bulk runs on pages: planned, confirmed as they were shown, followed, and done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import keys, runs
from service.ledger import Ledger
from service.ledger.runs import Kind, Order
from service.prediction import Ref
from tests.pages import BROWSER, get, sent
from tests.serving import serving
from tests.test_web_runs import dead, dies
from tests.visitors import TOKENS, VIEWER, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving import Served

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server) as served:
        yield served


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, 8e5)
    yield opened
    await opened.aclose()


async def test_a_link_leads_to_a_plan_and_its_confirmation_acts_on_exactly_that(
    server: Served, ledger: Ledger
) -> None:
    await dead(server, ledger, "p1", "p2")
    asking = await get(server.client, "/runs/new?kind=replay&query=stage%3Adead&from=deliver&rate=0.5")
    form = asking.form("Look what that is")
    assert form.fields["query"] == "stage:dead"
    assert (form.fields["from"], form.fields["kind"], form.fields["rate"]) == ("deliver", "replay", "0.5")
    assert "new_id" not in form.fields

    plan = await sent(server.client, form, **{"from": "fetch"})
    (run,) = await ledger.runs.latest(5)
    assert "Replay 2 predictions?" in plan.text
    assert "stage:dead" in plan.text
    assert "4.0 s" in plan.text, "how long it takes is told before it begins"
    assert {"/predictions/p1?source=wavespeed", "/predictions/p2?source=wavespeed"} <= set(plan.links)
    assert await ledger.runs.asked(5) == []

    await dead(server, ledger, "later")
    told = await sent(server.client, plan.form("Do it"))
    assert "asked for" in told.text
    assert await ledger.runs.asked(5) == [run.id]
    members = await ledger.redis.lrange(keys.RUN_MEMBERS + run.id, 0, -1)
    assert members == ["wavespeed:p1", "wavespeed:p2"]


async def test_what_was_left_says_why_and_the_rest_what_became_of_it(server: Served, ledger: Ledger) -> None:
    await dead(server, ledger, "p1", "p2")
    run = await runs.plan(ledger, Order(Kind.REPLAY, "stage:dead", rate=1000))
    await ledger.predictions.replay(Ref("wavespeed", "p2"))
    await runs.carry_on(ledger, run.id)
    page = await get(server.client, f"/runs/{run.id}")
    assert "ended 2 of 2 predictions" in page.text
    assert "skipped is accepted: on its way" in page.text
    assert "accepted \u00d7 1" in page.text
    listed = await get(server.client, "/runs")
    assert (f"/runs/{run.id}" in listed.links, "2 of 2" in listed.text) == (True, True)

    assert "Plan again what failed" not in page.text, "what was skipped did not fail"
    answer = await server.client.post(f"/runs/{run.id}/again", headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/runs/{run.id}")
    assert len(await ledger.runs.latest(5)) == 1


async def test_what_came_to_a_bad_end_can_be_planned_again(server: Served, ledger: Ledger) -> None:
    await dead(server, ledger, "p1")
    run = await runs.plan(ledger, Order(Kind.REPLAY, "stage:dead", rate=1000))
    await runs.carry_on(ledger, run.id)
    assert "Plan again what failed" not in (await get(server.client, f"/runs/{run.id}")).text
    await dies(ledger, "p1")
    again = await sent(server.client, (await get(server.client, f"/runs/{run.id}")).form("Plan again"))
    assert "Replay 1 prediction?" in again.text
    assert f"/runs/{run.id}" in again.links


async def test_a_run_that_nobody_carries_on_can_be_resumed(server: Served, ledger: Ledger) -> None:
    await dead(server, ledger, "p1")
    run = await runs.plan(ledger, Order(Kind.REPLAY, "stage:dead"))
    await ledger.runs.beat(run.id, 1.0)
    page = await get(server.client, f"/runs/{run.id}")
    assert "nothing is done twice" in page.text
    await sent(server.client, page.form("Resume"))
    assert await ledger.runs.asked(5) == [run.id]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"query": "stage:lost"}, "stage is one of"),
        ({"query": "stage:dead", "kind": "retry"}, "there is no stage"),
        ({"query": " "}, "is empty"),
        ({"query": "stage:dead"}, "nothing that has ended matches"),
        ({"query": "stage:dead", "rate": "fast"}, "rate: is a number"),
        ({"query": "stage:dead", "rate": "nan"}, "rate: is a number"),
    ],
)
async def test_what_cannot_be_is_said_above_the_form_as_it_was_filled_in(
    fields: dict[str, str], said: str, server: Served, ledger: Ledger
) -> None:
    form = (await get(server.client, "/runs/new")).form("Look what that is")
    page = await sent(server.client, form, **fields)
    assert (page.status, said in page.text) == (422, True)
    assert page.form("Look what that is").fields["query"] == fields["query"]
    assert await ledger.runs.latest(5) == []


async def test_without_any_the_list_says_what_a_run_is(server: Served, redis_url: str) -> None:
    assert "No bulk run in the last seven days" in (await get(server.client, "/runs")).text
    assert (await get(server.client, "/runs/run_no", 404)).status == 404
    answer = await server.client.get("/runs/new?from=submit", headers=BROWSER)
    assert answer.status_code == 422


async def test_a_viewer_sees_the_plan_and_no_button(redis_url: str, ledger: Ledger) -> None:
    async with serving(redis_url, **TOKENS) as server:
        server.client.headers.update(bearer(VIEWER))
        run = await runs.plan(ledger, Order(Kind.REPLAY, "stage:dead"))
        for path in ("/runs", "/runs/new", f"/runs/{run.id}"):
            assert (await get(server.client, path)).forms == []
        answer = await server.client.post(f"/runs/{run.id}/start", headers=BROWSER)
        assert answer.status_code == 403
