"""`/api/v1/review`: what is held, and decisions about it; every answer fits the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.ledger import Commit, Ledger
from service.prediction import Disposition, Ref, Stage
from tests.builders import output
from tests.serving import callback, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.serving import Served

pytestmark = pytest.mark.anyio

HELD, RELEASED, REJECTED = Disposition.HELD, Disposition.RELEASED, Disposition.REJECTED
DECISIONS = ("approve", "reject", "undo")


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


async def worked(redis_url: str, id_: str, *outputs: Disposition, decision: int = 0) -> None:
    """As a worker commits it."""
    ledger, ref = Ledger(redis_url, 8e5), Ref("wavespeed", id_)
    record = await ledger.predictions.lease(ref, 10, "worker")
    assert record
    kept = [output(i, one, nsfw="unknown", decision=decision) for i, one in enumerate(outputs)]
    end = Commit(Stage.DONE, outputs=kept)
    assert await ledger.predictions.commit(ref, Stage.WORKING, record.token, end)
    await ledger.aclose()


async def ended(server: Served, redis_url: str, id_: str, *outputs: Disposition) -> None:
    files = [f"https://cdn.example/{index}.png" for index in range(len(outputs))]
    await server.call_back(callback(id_, outputs=files, has_nsfw_contents=None))
    await worked(redis_url, id_, *outputs)


async def listed(server: Served, **params: Any) -> Any:
    answer = await server.client.get("/api/v1/review", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(server: Served, path: str, **more: Any) -> httpx.Response:
    return await server.client.post(f"/api/v1/review/{path}", **more)


def refused(answer: httpx.Response) -> tuple[int, str, str | None]:
    problem = answer.json()
    return answer.status_code, problem["reason"], problem.get("field")


async def test_what_is_held_is_listed_newest_first_without_a_way_to_the_file(
    server: Served, redis_url: str
) -> None:
    assert await listed(server) == {"items": [], "next": None}
    await ended(server, redis_url, "p1", HELD, Disposition.STORED)
    await ended(server, redis_url, "p2", HELD, HELD)
    found = await listed(server)
    assert [(item["id"], item["index"]) for item in found["items"]] == [("p2", 0), ("p2", 1), ("p1", 0)]
    assert found["items"][0] == {
        "id": "p2", "source": "wavespeed", "model": "vendor/model", "index": 0, "nsfw": "unknown",
        "media_type": "image/png", "bytes": 1000, "width": 8, "height": 8, "error": None, "held_at": None,
        "metadata": {},
    }  # fmt: skip


async def test_pages_join_without_a_seam_and_a_query_filters(server: Served, redis_url: str) -> None:
    await ended(server, redis_url, "p1", HELD, HELD, HELD)
    await ended(server, redis_url, "p2", HELD)
    seen: list[tuple[str, int]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await listed(server, limit=2, cursor=cursor)
        seen += [(item["id"], item["index"]) for item in page["items"]]
        cursor = page["next"]
    assert seen == [("p2", 0), ("p1", 0), ("p1", 1), ("p1", 2)]
    assert len((await listed(server, query="id:p1 nsfw:unknown"))["items"]) == 3
    assert (await listed(server, query="nsfw:flagged"))["items"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "201", "x")),
        *(("cursor", value) for value in ("-1", "1-", "x", "1.5", "٣")),
        *(("query", value) for value in ("held", "colour:red")),
    ],
)
async def test_an_odd_limit_cursor_or_query_is_named(server: Served, name: str, value: str) -> None:
    answer = await server.client.get("/api/v1/review", params={name: value})
    assert refused(answer) == (400, "invalid", name)


@pytest.mark.parametrize(
    ("decision", "becomes", "said"),
    [("approve", RELEASED, "approved"), ("reject", REJECTED, "rejected")],
)
async def test_a_decision_is_written_down_and_left_to_a_worker(
    server: Served, redis_url: str, decision: str, becomes: Disposition, said: str
) -> None:
    await ended(server, redis_url, "p", HELD)
    answer = await post(server, f"p/0/{decision}", json={"by": "ada", "reason": "looks fine"})
    shown = answer.json()
    assert (answer.status_code, shown["stage"], shown["outputs"][0]["disposition"]) == (202, "accepted", HELD)
    assert shown["timeline"][-1]["detail"] == f"0 {said} by ada: looks fine"
    (review,) = shown["reviews"]
    assert (review["index"], review["decision"], review["by"], review["reason"]) == (
        0, decision, "ada", "looks fine"
    )  # fmt: skip
    assert (await listed(server))["items"] == []
    await worked(redis_url, "p", becomes, decision=1)
    assert refused(await post(server, f"p/0/{decision}"))[:2] == (409, "conflict")
    undone = await post(server, "p/0/undo")
    assert undone.status_code == 202
    (review,) = undone.json()["reviews"]
    assert (review["decision"], review["by"], review["reason"]) == ("undo", "operator", None)


@pytest.mark.parametrize("decision", DECISIONS)
async def test_what_cannot_be_decided_is_a_conflict(server: Served, redis_url: str, decision: str) -> None:
    disposition = HELD if decision == "undo" else RELEASED
    await ended(server, redis_url, "p", disposition, Disposition.SKIPPED, Disposition.STORED)
    for index in (0, 1, 2):
        assert refused(await post(server, f"p/{index}/{decision}"))[:2] == (409, "conflict")
    await server.call_back(callback("under-way"))
    answer = await post(server, f"under-way/0/{decision}")
    assert refused(answer)[:2] == (409, "conflict")
    assert "once it has ended" in answer.json()["detail"]


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize(
    "path", ["nobody/0", "p/1", "p/x", "p/-1", "p/1.0", "p/٣", "p/9999999", "a.b/0", "%00/0", "a:b/0"]
)
async def test_an_unknown_id_or_index_is_a_404(
    server: Served, redis_url: str, path: str, decision: str
) -> None:
    await ended(server, redis_url, "p", HELD)
    answer = await server.client.send(
        server.client.build_request("POST", f"/api/v1/review/{path}/{decision}")
    )
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown_id")


async def test_an_id_is_looked_for_in_the_source_that_is_named(server: Served, redis_url: str) -> None:
    await ended(server, redis_url, "p", HELD)
    answer = await post(server, "p/0/approve", params={"source": "another"})
    assert refused(answer)[:2] == (404, "unknown_id")
    assert (await post(server, "p/0/approve", params={"source": "wavespeed"})).status_code == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"by": ""}', "by"),
        (b'{"by": "a\\nb"}', "by"),
        (b'{"by": 7}', "by"),
        (b'{"by": "%b"}' % (b"x" * 65), "by"),
        (b'{"reason": "%b"}' % (b"x" * 201), "reason"),
        (b'{"reason": "a\\u0000b"}', "reason"),
        (b'{"reason": null}', "reason"),
        (b'{"why": "x"}', "why"),
        (b"[]", "body"),
        (b"nonsense", "body"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_decided(
    server: Served, redis_url: str, body: bytes, field: str
) -> None:
    await ended(server, redis_url, "p", HELD)
    assert refused(await post(server, "p/0/approve", content=body)) == (422, "invalid", field)
    assert len((await listed(server))["items"]) == 1
