"""`/api/v1`: lists, one prediction, track, replay, deliveries and scaling; every answer fits the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service import clock, keys
from service.events import Event, Kind, delivery_id
from service.hooks import Dead
from service.ledger import Commit, Ledger
from service.prediction import Reason, Ref, Stage
from tests.serving import callback, polled_at, serving, stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.serving import Served

pytestmark = pytest.mark.anyio

DELIVERY = delivery_id("evt_1", "crm")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(redis_server: str) -> AsyncIterator[Served]:
    async with serving(redis_server, max_body=20_000) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty(redis_url: str) -> None:
    """Every test begins with an empty ledger."""


async def get(server: Served, path: str, **params: Any) -> Any:
    answer = await server.client.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: httpx.Response) -> tuple[int, str, str | None]:
    problem = answer.json()
    return answer.status_code, problem["reason"], problem.get("field")


async def ended(server: Served, redis_url: str, id_: str = "pred_1") -> None:
    """Through its stages to `dead`, with one delivery that we gave up."""
    await server.call_back(callback(id_))
    ledger, ref = Ledger(redis_url, 8e5), Ref("wavespeed", id_)
    record = await ledger.predictions.lease(ref, 10, "worker")
    assert record
    event = Event("evt_1", Kind.DEAD, "{}", ("crm",))
    end = Commit(Stage.DEAD, Reason.OUTPUTS_BAD, "truncated", outputs=[], events=[event])
    assert await ledger.predictions.commit(ref, Stage.WORKING, record.token, end)
    delivery = await ledger.deliveries.take(DELIVERY, 10)
    assert delivery
    gave_up = Dead("HTTP 500", disable=False)
    await ledger.deliveries.attempted(delivery, gave_up, status=500, error="answered 500", now=clock.now())
    await ledger.aclose()


async def test_an_empty_ledger_lists_nothing(server: Served) -> None:
    assert await get(server, "predictions") == await get(server, "deliveries") == {"items": [], "next": None}


async def test_a_list_is_newest_first_and_its_pages_join_without_a_seam(server: Served) -> None:
    for number in range(7):
        await server.call_back(callback(f"p{number}"))
    seen: list[str] = []
    cursor: str | None = ""
    for expected in (3, 3, 1):
        page = await get(server, "predictions", limit=3, cursor=cursor)
        assert len(page["items"]) == expected
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        await server.call_back(callback(f"meanwhile-{expected}-{cursor}"))
    assert cursor is None
    assert seen == [f"p{number}" for number in reversed(range(7))]


async def test_a_list_has_50_items_unless_told_and_at_most_200(server: Served) -> None:
    for number in range(60):
        await server.call_back(callback(f"p{number}"))
    assert len((await get(server, "predictions"))["items"]) == 50
    assert len((await get(server, "predictions", limit=200))["items"]) == 60


@pytest.mark.parametrize("path", ["predictions", "deliveries", "refused"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "201", "-1", "", "1.5", "x", "٣", "9" * 400)),
        *(("cursor", value) for value in ("-1", "x", "1.5", "(1", "٣")),
    ],
)
async def test_an_odd_limit_or_cursor_is_named(server: Served, path: str, name: str, value: str) -> None:
    answer = await server.client.get(f"/api/v1/{path}", params={name: value})
    assert refused(answer) == (400, "invalid", name)


async def test_a_query_filters(server: Served) -> None:
    await server.call_back(callback("a", model="vendor/flux-1"))
    await server.call_back(callback("b", model="vendor/other"))
    await server.call_back(callback("c", status="processing", model="vendor/flux-2"))
    expected = {
        "stage:awaited": ["c"],
        "model:vendor/flux*": ["c", "a"],
        "model:vendor/flux* stage:accepted": ["a"],
        "id:b": ["b"],
        "since:1h": ["c", "b", "a"],
        "via:poll": [],
    }
    for query, ids in expected.items():
        found = await get(server, "predictions", query=query)
        assert [item["id"] for item in found["items"]] == ids, query


@pytest.mark.parametrize(
    "word", ["stage:gone", "colour:red", "failed", "nsfw:maybe", "since:yesterday", "id:"]
)
async def test_a_wrong_query_is_a_400_that_points_at_the_word(server: Served, word: str) -> None:
    answer = await server.client.get("/api/v1/predictions", params={"query": f"model:x {word}"})
    assert refused(answer) == (400, "invalid", "query")
    assert f"`{word}`" in answer.json()["detail"]


async def test_one_prediction_tells_its_story(server: Served) -> None:
    await server.call_back(callback("p", created_at="2026-01-02T03:04:05.67Z"))
    await server.call_back(callback("p"))
    shown = await get(server, "predictions/p", source="wavespeed")
    assert shown == shown | {
        "id": "p", "source": "wavespeed", "model": "vendor/model", "stage": "accepted", "status": "completed",
        "reason": None, "received_via": "callback", "created_at": "2026-01-02T03:04:05.670Z",
        "finished_at": None, "attempts": 0, "outputs": [], "deliveries": [], "metadata": {},
    }  # fmt: skip
    assert [line["step"] for line in shown["timeline"]] == ["called_back", "accepted", "called_back"]


ODD_IDS = [
    "nobody",
    "a.b",
    "x" * 129,
    "%00",
    "%0A",
    "a%20b",
    "é",
    "a:b",
    "..%2F..%2Fetc",
    "*",
    "%F0%9F%92%A9",
]


@pytest.mark.parametrize("id_", ODD_IDS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "predictions/{}"),
        ("POST", "predictions/{}/replay"),
        ("POST", "deliveries/{}/retry"),
    ],
)
async def test_what_nobody_is_called_is_a_404(server: Served, method: str, path: str, id_: str) -> None:
    answer = await server.client.request(method, f"/api/v1/{path.format(id_)}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] in ("unknown_id", "no_such_route")


async def test_an_id_is_looked_for_in_the_source_that_is_named(server: Served) -> None:
    await server.call_back(callback("p"))
    for source in ("another", "wavespeed:p", "*"):
        answer = await server.client.get("/api/v1/predictions/p", params={"source": source})
        assert refused(answer)[:2] == (404, "unknown_id")


async def test_tracking_adopts_an_id_without_a_body(server: Served, redis_url: str) -> None:
    answer = await server.client.post("/api/v1/predictions/p/track")
    assert (answer.status_code, answer.json()["stage"]) == (202, "awaited")
    assert answer.json()["received_via"] is None
    assert (polled_at(redis_url, "p") or 0) > clock.now() + 30


async def test_tracking_takes_model_and_metadata_also_for_what_is_known(server: Served) -> None:
    await server.call_back(callback("p"))
    body = {"model": "vendor/x", "metadata": {"order": [7, None], "über": "ß"}}
    answer = await server.client.post("/api/v1/predictions/p/track", json=body)
    shown = answer.json()
    assert (answer.status_code, shown["stage"], shown["metadata"]) == (202, "accepted", body["metadata"])


@pytest.mark.parametrize("id_", ["a.b", "x" * 129, "é", "a:b"])
async def test_an_id_that_no_provider_gives_cannot_be_tracked(server: Served, id_: str) -> None:
    answer = await server.client.post(f"/api/v1/predictions/{id_}/track")
    assert refused(answer) == (422, "invalid", "id")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("predictions", b"", "model"),
        ("predictions", b'{"model": "", "input": {}}', "model"),
        ("predictions", b'{"model": 7, "input": {}}', "model"),
        ("predictions", b'{"model": "../x", "input": {}}', "model"),
        ("predictions", b'{"model": "predictions/delete", "input": {}}', "model"),
        ("predictions", b'{"model": "a/b", "input": []}', "input"),
        ("predictions", b'{"model": "a/b"}', "input"),
        ("predictions", b'{"model": "a/b", "input": {}, "metadata": 7}', "metadata"),
        ("predictions", b'{"model": "a/b", "input": {}, "inputs": {}}', "inputs"),
        ("predictions", b'{"model": "a/b", "input": {"x": NaN}}', "body"),
        ("predictions", b'{"model": "a/b", "model": "c/d", "input": {}}', "body"),
        ("predictions", b'{"model": "a/b", "input": {"x": "\\ud800"}}', "body"),
        ("predictions", b"[" * 10_000, "body"),
        ("predictions", b"\xff\xfe", "body"),
        ("predictions/p/track", b'{"modell": "a"}', "modell"),
        ("predictions/p/track", b'{"metadata": null}', "metadata"),
        ("predictions/p/track", b'{"metadata": {"x": "%b"}}' % (b"y" * 17_000), "metadata"),
        ("predictions/p/track", b"[]", "body"),
        ("predictions/p/track", b"nonsense", "body"),
        ("predictions/p/replay", b'{"from": "start"}', "from"),
        ("predictions/p/replay", b'{"step": "fetch"}', "step"),
    ],
)
async def test_a_wrong_field_is_named(server: Served, path: str, body: bytes, field: str) -> None:
    answer = await server.client.post(f"/api/v1/{path}", content=body)
    assert refused(answer) == (422, "invalid", field)


async def test_a_body_over_the_cap_is_refused(server: Served) -> None:
    answer = await server.client.post("/api/v1/predictions/p/track", content=b" " * 30_000)
    assert refused(answer)[:2] == (413, "too_large")


async def test_what_has_ended_is_fetched_again(server: Served, redis_url: str) -> None:
    await ended(server, redis_url)
    answer = await server.client.post("/api/v1/predictions/pred_1/replay")
    assert (answer.status_code, answer.json()["stage"]) == (202, "accepted")
    assert answer.json()["received_via"] == "replay"


async def test_what_has_ended_is_delivered_again_and_stays_ended(server: Served, redis_url: str) -> None:
    await ended(server, redis_url)
    answer = await server.client.post("/api/v1/predictions/pred_1/replay", json={"from": "deliver"})
    assert (answer.status_code, answer.json()["stage"]) == (202, "dead")
    (delivery,) = answer.json()["deliveries"]
    assert (delivery["state"], delivery["event_id"]) == ("pending", "evt_1")


@pytest.mark.parametrize("step", ["fetch", "deliver"])
async def test_what_is_under_way_cannot_be_replayed(server: Served, step: str) -> None:
    await server.call_back(callback())
    answer = await server.client.post("/api/v1/predictions/pred_1/replay", json={"from": step})
    assert refused(answer)[:2] == (409, "conflict")


@pytest.mark.parametrize(
    ("path", "params", "said"),
    [
        ("predictions", {"query": "stage:gone"}, "`stage:gone`"),
        ("predictions", {"query": "stage:done event:x"}, "`event:x`: there is no event"),
        ("review", {"query": "model:*flux"}, "`model:*flux`"),
        ("deliveries", {"query": "stage:done"}, "`stage:done`: there is no stage"),
        ("deliveries", {"query": "state:dead", "state": "dead"}, "says again"),
    ],
)
async def test_a_bad_query_is_a_400_that_points_at_the_word(
    path: str, params: dict[str, str], said: str, server: Served
) -> None:
    answer = await server.client.get(f"/api/v1/{path}", params=params)
    assert refused(answer) == (400, "invalid", "query")
    assert said in answer.json()["detail"]


async def test_deliveries_are_found_by_words(server: Served, redis_url: str) -> None:
    await ended(server, redis_url)
    for query, count in (("state:dead hook:c* err:500", 1), ("event:output.*", 0), (f"id:{DELIVERY}", 1)):
        assert len((await get(server, "deliveries", query=query))["items"]) == count


async def test_deliveries_are_listed_filtered_and_sent_again(server: Served, redis_url: str) -> None:
    await ended(server, redis_url)
    (listed,) = (await get(server, "deliveries", state="dead", hook="crm"))["items"]
    assert listed == listed | {
        "id": DELIVERY, "event_id": "evt_1", "event": "prediction.dead", "prediction": "pred_1",
        "hook": "crm", "state": "dead", "attempts": 1, "last_status": 500, "error": "answered 500",
    }  # fmt: skip
    for nothing in ({"state": "pending"}, {"hook": "other"}):
        assert (await get(server, "deliveries", **nothing))["items"] == []
    answer = await server.client.post(f"/api/v1/deliveries/{DELIVERY}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")


async def test_a_delivery_is_shown_with_its_attempts(server: Served, redis_url: str) -> None:
    await ended(server, redis_url)
    shown = await get(server, f"deliveries/{DELIVERY}")
    (attempt,) = shown["history"]
    assert (shown["id"], attempt["status"], attempt["error"]) == (DELIVERY, 500, "answered 500")
    (listed,) = (await get(server, "deliveries"))["items"]
    assert shown == listed | {"history": [attempt]}
    nobody = await server.client.get("/api/v1/deliveries/dlv_nobody")
    assert refused(nobody)[:2] == (404, "unknown_id")


async def test_an_unknown_state_of_deliveries_is_named(server: Served) -> None:
    answer = await server.client.get("/api/v1/deliveries", params={"state": "lost"})
    assert refused(answer) == (400, "invalid", "state")


async def test_scaling_counts_what_is_left_to_do(server: Served) -> None:
    drained = await get(server, "scaling")
    assert drained == dict.fromkeys(drained, 0) | {"nearest_deletion_seconds": None}
    await server.call_back(callback("a"))
    await server.call_back(callback("b", status="processing"))
    await server.client.post("/api/v1/predictions/c/track")
    found = await get(server, "scaling")
    assert found == found | {"backlog": 2, "waiting": 1, "working": 0, "due": 1, "awaited": 2}


@pytest.mark.parametrize("path", ["/nope", "/api", "/api/v1/", "/api/v1/predictions/", "/livez/", "/a%0Ab"])
async def test_an_unknown_route_is_a_problem(server: Served, path: str) -> None:
    answer = await server.client.get(path)
    assert refused(answer)[:2] == (404, "no_such_route")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_another_method_is_told_all_that_there_are(server: Served) -> None:
    answer = await server.client.delete("/api/v1/predictions")
    assert refused(answer)[:2] == (405, "method")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(server: Served, redis_url: str) -> None:
    await server.call_back(callback())
    assert stored(redis_url, "pred_1")
    ledger = Ledger(redis_url, 8e5)
    await ledger.redis.lpush(f"{keys.TIMELINE}wavespeed:pred_1", "no json at all")
    await ledger.aclose()
    answer = await server.client.send(server.client.build_request("GET", "/api/v1/predictions/pred_1"))
    assert refused(answer)[:2] == (500, "internal")
    assert "Traceback" not in answer.text
    assert "json" not in answer.json()["detail"].lower()
