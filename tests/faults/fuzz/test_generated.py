"""Generated input, a little of it every day and all of it with `--faults=long`: what is not refused is sound.

`--seed N` repeats a run; what an assertion shows is the input itself.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.faults.fuzz import atheris_json, readings
from tests.faults.fuzz.bodies import bodies
from tests.faults.fuzz.headers import header_sets
from tests.faults.fuzz.urls import urls
from tests.serving import PATH, callback, serving, sign, stored
from tests.strangers import BODY_DEADLINE, Impatient, contents, exchange_all, statuses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.faults.chance import Chance
    from tests.serving import Served

EVERY_DAY = 50
"""Of the long form's inputs one in so many."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def rng(chance: Chance) -> Random:
    return Random(chance.seed)


@pytest.fixture
def share(long: bool) -> int:
    return 1 if long else EVERY_DAY


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Served]:
    async with serving(redis_url, protocol=Impatient, body_deadline=BODY_DEADLINE) as served:
        yield served


def test_20000_sets_of_headers_are_believed_just_when_the_contract_says_so(rng: Random, share: int) -> None:
    found = Counter(readings.headers(*one) for one in islice(header_sets(rng), 20_000 // share))
    assert min(found[word] for word in ("refused", "fresh", "stale")) > 200 // share


def test_200000_bodies_are_refused_or_mean_the_same_to_another_reader(rng: Random, share: int) -> None:
    read = Counter(readings.body(body) is not None for body in islice(bodies(rng), 200_000 // share))
    assert min(read[True], read[False]) > 20_000 // share


def test_50000_urls_are_refused_or_lead_to_one_place_for_every_library(rng: Random, share: int) -> None:
    passed = Counter(readings.url(url) for url in islice(urls(rng), 50_000 // share))
    assert min(passed[True], passed[False]) > 5_000 // share


def test_what_the_fuzzer_begins_with_holds() -> None:
    """So that its own run, which is started by hand, has nothing to find at once."""
    kinds = set()
    for one in atheris_json.seeds():
        atheris_json.one_input(one)
        kinds.add(one[:1])
    assert kinds == {atheris_json.BODY, atheris_json.HEADERS, atheris_json.URL}


@pytest.mark.anyio
async def test_2000_bodies_over_the_wire_are_answered_as_they_are_read_here(
    server: Served, redis_url: str, rng: Random, share: int
) -> None:
    taken, refused = {}, []
    for body in islice(bodies(rng), 2_000 // share):
        if said := readings.body(body):
            taken[body] = said.id
        else:
            refused.append(body)
    before = contents(redis_url)
    for body in refused:
        answer = await server.call_back(body)
        assert answer.status_code == 400, body[:2000]
    assert contents(redis_url) == before
    for body, id_ in taken.items():
        answer = await server.call_back(body)
        assert (answer.status_code, answer.json()["id"]) == (200, id_), body[:2000]
    assert taken
    assert refused


@pytest.mark.anyio
async def test_no_flipped_bit_of_a_genuine_request_changes_what_is_written(
    server: Served, redis_url: str, share: int
) -> None:
    """Of the whole request, its line and the names of its headers too: at the most it comes twice."""
    body = callback()
    signed = "".join(f"{name}: {value}\r\n" for name, value in sign(body).items())
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{signed}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    request = head.encode() + body
    assert (await server.call_back(body, sign(body))).json()["outcome"] == "new"
    names, record = set(contents(redis_url)), stored(redis_url, "pred_1")
    flipped = [_flip(request, bit) for bit in range(0, 8 * len(request), share)]
    found = Counter(map(statuses, await exchange_all(server.port, flipped, at_once=20)))
    assert (set(contents(redis_url)), stored(redis_url, "pred_1")) == (names, record)
    assert all(status[:1] in "24-" for answers in found for status in answers.split("+")), found
    assert found["401"] > 1_000 // share


def _flip(data: bytes, bit: int) -> bytes:
    at = bit // 8
    return data[:at] + bytes([data[at] ^ 1 << bit % 8]) + data[at + 1 :]
