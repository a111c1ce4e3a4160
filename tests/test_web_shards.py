"""One receiver before two shards: everything goes where it belongs, and one that is away takes none along."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest

from service.settings import Settings
from service.web.app import build
from service.web.shards import COOKIE, summed
from tests.commandline import accept, completed
from tests.described import operations
from tests.serving import NOWHERE, SECRET, OwnRedis, callback, serving_with, sign, stored
from tests.test_web_visitors import filled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from tests.serving import Served

pytestmark = pytest.mark.anyio

STUDIO_SECRET = "whsec_of-the-studio"
STUDIO = "/webhooks/studio"
PAGE = {"accept": "text/html"}
GUARDED = ("/api/", "/predictions", "/review", "/media", "/runs", "/deliveries", "/metrics")
OPERATOR_TOKEN = "an-operator-with-a-long-token"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    own = OwnRedis(tmp_path_factory.mktemp("second"))
    yield own
    own.kill()


def settings(first: str, second: OwnRedis, **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "webhook_secrets": SECRET,
            "provider_url": NOWHERE,
            "sources": [{"name": "studio", "secrets": STUDIO_SECRET}],
            "shards": [
                {"name": "a", "redis_url": first, "sources": ["wavespeed"]},
                {"name": "b", "redis_url": second.url, "sources": ["studio"]},
            ],
        }
        | more
    )


@pytest.fixture
async def server(redis_url: str, second: OwnRedis) -> AsyncIterator[Served]:
    async with serving_with(settings(redis_url, second), None) as served:
        yield served


async def to_studio(server: Served, body: bytes) -> httpx.Response:
    return await server.client.post(STUDIO, content=body, headers=sign(body, secret=STUDIO_SECRET))


async def test_a_callback_is_written_where_its_source_is_at_home(
    server: Served, redis_url: str, second: OwnRedis
) -> None:
    assert (await server.call_back(callback("home_a"))).json() == {"id": "home_a", "outcome": "new"}
    assert (await to_studio(server, callback("home_b"))).json() == {"id": "home_b", "outcome": "new"}
    assert stored(redis_url, "home_a")
    assert stored(second.url, "home_b", "studio")
    assert not stored(second.url, "home_a")
    assert not stored(redis_url, "home_b", "studio")


async def test_a_secret_of_one_shard_opens_nothing_on_the_other(server: Served) -> None:
    body = callback("crossed")
    answer = await server.client.post(STUDIO, content=body, headers=sign(body))
    assert answer.status_code == 401
    assert (await server.client.post("/webhooks/nobody", content=body, headers=sign(body))).status_code == 404


async def test_a_shard_that_is_away_costs_only_its_own_sources(server: Served, second: OwnRedis) -> None:
    second.kill()
    try:
        away = await to_studio(server, callback("later"))
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")
        assert (await server.call_back(callback("meanwhile"))).status_code == 200
        ready = await server.client.get("/readyz?verbose")
        states = {one["name"]: one["state"] for one in ready.json()["checks"]}
        assert (ready.status_code, states["a.redis"], states["b.redis"]) == (200, "ok", "warn")
        assert (await server.client.get("/api/v1/predictions/meanwhile")).status_code == 200
        missing = await server.client.get("/api/v1/predictions/perhaps_there")
        assert missing.status_code == 503, "whether it is there nobody can say"
    finally:
        second.start()
    body = callback("later")
    answers = []

    async def again() -> int:
        answers.append((await to_studio(server, body)).status_code)
        return answers[-1]

    for _ in range(50):
        if await again() == 200:
            break
    assert answers[-1] == 200, answers


async def test_what_has_an_id_is_found_wherever_it_is(
    server: Served, redis_url: str, second: OwnRedis
) -> None:
    await server.call_back(callback("of_a"))
    await to_studio(server, callback("of_b"))
    for id_, source in (("of_a", "wavespeed"), ("of_b", "studio")):
        found = await server.client.get(f"/api/v1/predictions/{id_}")
        assert (found.status_code, found.json()["source"]) == (200, source)
        page = await server.client.get(f"/predictions/{id_}", headers=PAGE)
        assert (page.status_code, id_ in page.text) == (200, True)
    assert (await server.client.get("/api/v1/predictions/nowhere")).status_code == 404
    replayed = await server.client.post("/api/v1/predictions/of_b/replay", json={"from": "fetch"})
    assert replayed.status_code == 409, "it has not ended, says the shard that has it"


async def test_an_id_of_both_is_a_conflict_until_one_is_named(server: Served) -> None:
    await server.call_back(callback("twin"))
    await to_studio(server, callback("twin"))
    assert (await server.client.get("/api/v1/predictions/twin")).status_code == 409
    for named in ("source=studio", "shard=b"):
        found = await server.client.get(f"/api/v1/predictions/twin?{named}")
        assert (found.status_code, found.json()["source"]) == (200, "studio")


async def test_a_source_that_has_moved_is_still_found_where_it_was(redis_url: str, second: OwnRedis) -> None:
    await asyncio.to_thread(accept, redis_url, completed("before_the_move"))
    moved = settings(
        redis_url,
        second,
        shards=[
            {"name": "a", "redis_url": redis_url, "sources": ["studio"]},
            {"name": "b", "redis_url": second.url, "sources": ["wavespeed"]},
        ],
    )
    async with serving_with(moved, None) as server:
        assert (await server.client.get("/api/v1/predictions/before_the_move")).status_code == 200
        await server.call_back(callback("after_the_move"))
        assert stored(second.url, "after_the_move")


async def test_lists_are_of_the_shard_that_is_named(server: Served) -> None:
    await server.call_back(callback("listed_a"))
    await to_studio(server, callback("listed_b"))
    for path in (
        "/api/v1/predictions",
        "/api/v1/deliveries",
        "/api/v1/review",
        "/api/v1/refused",
        "/api/v1/runs",
    ):
        answer = await server.client.get(path)
        assert (answer.status_code, answer.json()["reason"]) == (400, "shard_needed")
        assert "a, b" in answer.json()["detail"]
    ids = [one["id"] for one in (await server.client.get("/api/v1/predictions?shard=b")).json()["items"]]
    assert "listed_b" in ids
    assert "listed_a" not in ids
    unknown = await server.client.get("/api/v1/predictions?shard=c")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "unknown_shard")


async def test_metrics_are_of_the_shard_that_is_named(server: Served) -> None:
    assert (await server.client.get("/metrics")).status_code == 400
    await server.call_back(callback("counted"))
    for shard, waiting in (("a", 1), ("b", None)):
        told = (await server.client.get("/metrics", params={"shard": shard})).text
        (line,) = [
            one for one in told.splitlines() if one.startswith('catchlight_predictions{stage="accepted"}')
        ]
        assert waiting is None or float(line.rpartition(" ")[2]) == waiting


async def test_the_backlog_is_that_of_all_or_of_one(server: Served) -> None:
    async def waiting(which: str = "") -> int:
        answer = await server.client.get(f"/api/v1/scaling{which}")
        return int(answer.json()["waiting"])

    before = await waiting("?shard=b")
    await server.call_back(callback("waits_a"))
    await to_studio(server, callback("waits_b"))
    assert (await waiting("?shard=a"), await waiting("?shard=b")) == (1, before + 1)
    assert await waiting() == before + 2
    assert (await server.client.get("/api/v1/scaling?shard=c")).status_code == 404


def test_of_what_is_late_the_latest_counts() -> None:
    one = dict.fromkeys(("backlog", "waiting", "working", "due", "awaited", "deliveries_due"), 1)
    a = one | {"oldest_due_seconds": 3.0, "nearest_deletion_seconds": None}
    b = one | {"oldest_due_seconds": 1.0, "nearest_deletion_seconds": 60.0}
    total = summed([a, b])
    assert (total["backlog"], total["oldest_due_seconds"], total["nearest_deletion_seconds"]) == (
        2,
        3.0,
        60.0,
    )
    assert summed([a])["nearest_deletion_seconds"] is None


async def test_a_page_stays_on_the_shard_that_was_chosen(server: Served) -> None:
    await to_studio(server, callback("shown_b"))
    first = await server.client.get("/predictions", headers=PAGE)
    assert "shown_b" not in first.text
    chosen = await server.client.get("/predictions?shard=b&query=stage%3Aaccepted", headers=PAGE)
    goal = chosen.url.join(chosen.headers["location"])
    assert (chosen.status_code, str(goal)) == (303, f"{server.url}/predictions?query=stage%3Aaccepted")
    assert server.client.cookies[COOKIE] == "b"
    page = await server.client.get(goal, headers=PAGE)
    assert "shown_b" in page.text
    assert '<a href="/?shard=b" aria-current="true">b</a>' in page.text
    server.client.cookies.set(COOKIE, "one that is gone")
    assert (await server.client.get("/predictions", headers=PAGE)).status_code == 200


@pytest.mark.parametrize("path", ["//other.example/", "//other.example", "/%5Cother.example/", "/a//b:c"])
async def test_to_choose_a_shard_leads_to_no_other_site(server: Served, path: str) -> None:
    answer = await server.raw(
        f"GET {path}?shard=b HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n".encode(),
        b"Accept: text/html\r\nConnection: close\r\n\r\n",
    )
    (location,) = re.findall(rb"\nlocation: (\S+)", answer)
    assert location.startswith(b"./"), "whatever a browser makes of it, it stays here"
    assert urljoin(f"{server.url}{path}", location.decode()).startswith(f"{server.url}/")


async def test_nobody_learns_without_a_token_what_any_shard_has(redis_url: str, second: OwnRedis) -> None:
    await asyncio.to_thread(accept, redis_url, completed("secret_one"))
    wanted = settings(redis_url, second, admin_token=OPERATOR_TOKEN)
    async with serving_with(wanted, None) as server:
        one_of_them = build(Settings.model_validate({"webhook_secrets": SECRET}), redis_url)
        guarded = [
            (path, method) for path, method in operations(one_of_them.routes) if path.startswith(GUARDED)
        ]
        assert len(guarded) > 40
        for path, method in guarded:
            for which in ("", "?shard=b", "?shard=nowhere", "?source=nobody"):
                answer = await server.client.request(method, filled(path) + which)
                assert answer.status_code == 401, (method, path, which, answer.text)
        for id_ in ("secret_one", "nowhere"):
            assert (await server.client.get(f"/api/v1/predictions/{id_}")).status_code == 401
        shown = await server.client.get(
            "/api/v1/predictions/secret_one", headers={"authorization": f"Bearer {OPERATOR_TOKEN}"}
        )
        assert shown.status_code == 200


async def test_a_submission_goes_where_its_source_is_at_home(server: Served) -> None:
    body = {"model": "vendor/model", "input": {}}
    # Each goes as far as it can without a key, or without a provider.
    ends = {"studio": "studio has no key", "wavespeed": "to the provider", "x": "no source x"}
    for source, why in ends.items():
        answer = await server.client.post("/api/v1/predictions", params={"source": source}, json=body)
        assert why in answer.json()["detail"]
    tracked = await server.client.post("/api/v1/predictions/adopted/track", params={"source": "studio"})
    assert (tracked.status_code, tracked.json()["source"]) == (202, "studio")
    elsewhere = await server.client.post(
        "/api/v1/predictions", params={"source": "studio", "shard": "a"}, json=body
    )
    assert elsewhere.status_code == 422


async def test_the_streams_of_all_shards_end_with_the_server(redis_url: str, second: OwnRedis) -> None:
    async with (
        serving_with(settings(redis_url, second), None) as server,
        server.client.stream("GET", "/live", headers={"cookie": f"{COOKIE}=b"}) as answer,
    ):
        assert answer.status_code == 200
        server.app.state.live.close()
        async for _ in answer.aiter_bytes():
            pass
