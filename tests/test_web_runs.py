"""`/api/v1/runs`: planned, shown, carried on; every answer fits the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service import keys, runs
from service.ledger import Commit, Ledger
from service.prediction import Reason, Ref, Stage
from tests.serving import callback, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.serving import Served

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, max_body=20_000) as served:
        yield served


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, 8e5)
    yield opened
    await opened.aclose()


async def dead(server: Served, ledger: Ledger, *ids: str) -> None:
    for id_ in ids:
        await server.call_back(callback(id_))
        await dies(ledger, id_)


async def dies(ledger: Ledger, id_: str) -> None:
    ref = Ref("wavespeed", id_)
    record = await ledger.predictions.lease(ref, 10, "worker")
    assert record is not None
    end = Commit(Stage.DEAD, Reason.OUTPUTS_BAD, outputs=[])
    await ledger.predictions.commit(ref, Stage.WORKING, record.token, end)


async def plan(server: Served, **body: Any) -> dict[str, Any]:
    answer = await server.client.post("/api/v1/runs", json=body)
    assert answer.status_code == 201, answer.text
    run: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/v1/runs/{run['id']}"
    return run


async def test_a_dry_run_is_a_plan_and_its_resume_acts_on_exactly_that(
    server: Served, ledger: Ledger
) -> None:
    await dead(server, ledger, "p1", "p2")
    run = await plan(server, query="stage:dead", rate=0.5, dry_run=True)
    assert (run["state"], run["total"], run["seconds"], run["from"]) == ("planned", 2, 4.0, "fetch")
    assert await ledger.runs.asked(5) == []
    await dead(server, ledger, "later")
    answer = await server.client.post(f"/api/v1/runs/{run['id']}/resume")
    assert answer.status_code == 202
    assert await ledger.runs.asked(5) == [run["id"]]
    assert await ledger.redis.lrange(keys.RUN_MEMBERS + run["id"], 0, -1) == ["wavespeed:p1", "wavespeed:p2"]


async def test_a_run_is_shown_with_what_came_of_it(server: Served, ledger: Ledger) -> None:
    await dead(server, ledger, "p1", "p2")
    run = await plan(server, query="stage:dead", rate=1000)
    await ledger.predictions.replay(Ref("wavespeed", "p2"))
    await runs.carry_on(ledger, run["id"])
    shown = (await server.client.get(f"/api/v1/runs/{run['id']}")).json()
    assert (shown["state"], shown["done"], shown["became"]) == ("ended", 1, {"accepted": 1})
    assert shown["left"] == [
        {"member": "wavespeed:p2", "outcome": "skipped", "why": "is accepted: on its way"}
    ]
    (listed,) = (await server.client.get("/api/v1/runs")).json()["items"]
    assert shown == listed | {"became": shown["became"], "left": shown["left"]}
    # What has ended is not asked for again.
    await ledger.runs.over(run["id"])
    await server.client.post(f"/api/v1/runs/{run['id']}/resume")
    assert await ledger.runs.asked(5) == []
    again = await plan(server, again=run["id"])
    assert (again["again_of"], again["total"]) == (run["id"], 0)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "body"),
        ({"query": "stage:dead", "again": "run_1"}, 422, "body"),
        ({"query": "stage:lost"}, 400, "query"),
        ({"query": "stage:dead", "kind": "retry"}, 400, "query"),
        ({"query": "stage:dead", "rate": 0}, 422, "rate"),
        ({"query": "stage:dead", "kind": "submit"}, 422, "kind"),
        ({"query": "stage:dead", "from": "submit"}, 422, "from"),
        ({"again": "run_no"}, 404, None),
    ],
)
async def test_what_cannot_be_is_named(
    body: dict[str, Any], status: int, field: str | None, server: Served, redis_url: str
) -> None:
    answer = await server.client.post("/api/v1/runs", json=body)
    assert (answer.status_code, answer.json().get("field")) == (status, field)


@pytest.mark.parametrize("path", ["runs/run_no", "runs/no%20id"])
async def test_an_unknown_run_is_404(path: str, server: Served, redis_url: str) -> None:
    assert (await server.client.get(f"/api/v1/{path}")).status_code == 404
    assert (await server.client.post(f"/api/v1/{path}/resume")).status_code == 404


async def test_one_prediction_is_told_under_new_ids(server: Served, ledger: Ledger) -> None:
    await dead(server, ledger, "p1")
    answer = await server.client.post("/api/v1/predictions/p1/replay", json={"new_id": True})
    assert answer.status_code == 202
    assert answer.json()["timeline"][-1]["detail"] == "from fetch, with new event ids"
