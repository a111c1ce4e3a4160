"""Hostile input changes nothing: the corpus on real sockets against the real server and a real Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from service.storage import layout
from tests.corpus import SMUGGLED, WORDS, rows, unfold
from tests.serving import callback, serving, stored
from tests.strangers import BODY_DEADLINE, Impatient, contents, exchange_all, statuses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.corpus import Row
    from tests.serving import Served

anyio = pytest.mark.anyio

REQUESTS, PATHS, BODIES, IDS = (rows(name) for name in ("requests", "paths", "bodies", "ids"))
BAD_IDS = [row for row in IDS if row.expected == "bad"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Served]:
    async with serving(redis_url, protocol=Impatient, body_deadline=BODY_DEADLINE) as served:
        assert (await served.call_back(callback("genuine"))).status_code == 200
        yield served
        assert (await served.call_back(callback("genuine_after"))).json()["outcome"] == "new"


def test_the_corpus_is_as_large_as_promised_and_says_nothing_twice() -> None:
    for found, least in ((REQUESTS, 40), (BODIES, 60), (IDS, 100), (PATHS, 100)):
        assert len(found) >= least
        assert len({row.text for row in found}) == len(found)


@pytest.mark.parametrize("text", ["«»", "«f»", "«nobody»", "«x*a»"])
def test_a_mark_that_means_nothing_is_an_error_of_the_corpus(text: str) -> None:
    with pytest.raises(ValueError, match="is neither hex"):
        unfold(text)


def test_a_line_of_the_corpus_stands_for_its_bytes() -> None:
    assert unfold("a⏎«0a ff»«3*⏎»«2*ab»\\n«get»é") == (
        b"a\r\n\n\xff\r\n\r\n\r\nabab\\nGET /livez HTTP/1.1\r\nHost: x\r\n\xc3\xa9"
    )


@anyio
async def test_every_hostile_request_is_answered_as_it_should_be_and_writes_nothing(
    server: Served, redis_url: str
) -> None:
    before = contents(redis_url)
    answers = await exchange_all(server.port, (row.data for row in REQUESTS))
    wrong = [
        (row.about, row.text[:80], row.expected, found)
        for row, answer in zip(REQUESTS, answers, strict=True)
        if (found := statuses(answer)) != row.expected
    ]
    assert not wrong, "\n".join(map(str, wrong))
    assert contents(redis_url) == before


@anyio
async def test_what_the_corpus_smuggles_would_be_seen(server: Served, redis_url: str) -> None:
    """The same request on its own is one that this machine may make, and it writes."""
    (answer,) = await exchange_all(server.port, [unfold(WORDS["smuggled"])])
    assert statuses(answer) == "202"
    assert stored(redis_url, SMUGGLED)["stage"] == "awaited"


@anyio
async def test_a_path_leads_where_it_says_or_nowhere(server: Served, redis_url: str) -> None:
    before = contents(redis_url)
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    answers = await exchange_all(server.port, (head % row.data for row in PATHS))
    wrong = [
        (row.text[:80], row.expected, found)
        for row, answer in zip(PATHS, answers, strict=True)
        if (found := statuses(answer)) != row.expected
    ]
    assert not wrong, "\n".join(map(str, wrong))
    assert contents(redis_url) == before


@anyio
async def test_a_genuine_callback_is_taken_or_refused_as_its_body_deserves(
    server: Served, redis_url: str
) -> None:
    before = contents(redis_url)
    for row in (row for row in BODIES if row.expected == "refused"):
        answer = await server.call_back(row.data)
        assert (answer.status_code, answer.json().get("reason")) == (400, "unparseable"), row.text[:80]
    assert contents(redis_url) == before
    for row in (row for row in BODIES if row.expected == "read"):
        answer = await server.call_back(row.data)
        assert answer.status_code == 200, row.text[:80]
        assert answer.json()["id"] == "pred_1"
    assert {name for name in contents(redis_url) if b"pred_2" in name or b"pred_3" in name} == set()


@anyio
async def test_an_id_that_is_no_token_is_written_nowhere(server: Served, redis_url: str) -> None:
    before = contents(redis_url)
    for row in BAD_IDS:
        said = await server.call_back(callback(row.data.decode()))
        assert (said.status_code, said.json()["reason"]) == (400, "unparseable"), row.text[:80]
        for answer in await asked_for(server, row.data):
            assert 400 <= answer.status_code < 500, (row.text[:80], str(answer.request.url)[:120])
    assert contents(redis_url) == before


async def asked_for(server: Served, id_: bytes) -> list[httpx.Response]:
    """In every place of the API that takes an id."""
    if len(id_) > 8_000:
        return []
    name = quote(id_, safe="").replace(".", "%2E")
    paths = [
        ("GET", f"/api/v1/predictions/{name}"),
        ("POST", f"/api/v1/predictions/{name}/track"),
        ("POST", f"/api/v1/predictions/{name}/replay"),
        ("POST", f"/api/v1/deliveries/{name}/retry"),
    ]
    return [await server.client.request(method, path) for method, path in paths]


@anyio
async def test_an_odd_token_is_an_id_like_any_other(server: Served, redis_url: str) -> None:
    for row in IDS:
        if row.expected == "good":
            id_ = row.data.decode()
            answer = await server.call_back(callback(id_))
            assert (answer.status_code, answer.json()) == (200, {"id": id_, "outcome": "new"})
            assert (await server.client.get(f"/api/v1/predictions/{id_}")).json()["id"] == id_
            assert stored(redis_url, id_)["stage"] == "accepted"


@pytest.mark.parametrize("row", BAD_IDS, ids=lambda row: row.text[:40])
def test_whatever_a_prediction_or_a_model_is_called_its_files_stay_below_the_root(row: Row) -> None:
    name = row.data.decode()
    with pytest.raises(ValueError, match="not a prediction id"):
        layout.folder("main", "m", "2026-11-22", name, default_source="main")
    folder = layout.folder("main", name, "2026-11-22", "pred_1", default_source="main")
    assert layout.checked(folder) == folder
    assert len(folder.split("/")) == 5
