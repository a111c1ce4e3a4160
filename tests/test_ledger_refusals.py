"""Refused callbacks in the ledger: totals of all, the last thousand, and nothing twice."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.ledger.refusals import KEPT, LIVES, Batch, RefusedCallback
from service.refusals import RefusedFor
from tests.builders import NOON

if TYPE_CHECKING:
    from service.ledger import Ledger
    from tests.builders import Clock

pytestmark = pytest.mark.anyio

ONE = RefusedCallback(NOON, "main", RefusedFor.SIGNATURE, "no signature matches", "192.0.2.7", 512, "msg_1")


def batch(number: int = 1, *sample: RefusedCallback, process: str = "p", **counts: int) -> Batch:
    return Batch(process, number, {RefusedFor(word): n for word, n in counts.items()}, sample)


def numbered(*numbers: int) -> list[RefusedCallback]:
    return [dataclasses.replace(ONE, size=number) for number in numbers]


async def sizes(ledger: Ledger, limit: int = KEPT) -> list[int | None]:
    return [one.size for one in (await ledger.refusals.page(limit, None))[0]]


async def test_what_was_refused_is_read_as_it_was_written(ledger: Ledger) -> None:
    bare = RefusedCallback(NOON, "", RefusedFor.GONE, "", None, None, None)
    await ledger.refusals.write(batch(1, ONE, bare, signature=1, gone=1))
    assert await ledger.refusals.page(9, None) == ([bare, ONE], None)
    listed = await ledger.refusals.listed(9, None)
    assert listed["items"][1] == {
        "at": "2023-11-14T22:13:20.000Z",
        "source": "main",
        "reason": "signature",
        "why": "no signature matches",
        "address": "192.0.2.7",
        "bytes": 512,
        "webhook_id": "msg_1",
    }
    assert (listed["next"], listed["totals"]) == (None, {"gone": 1, "signature": 1})


async def test_the_last_hours_are_counted_by_reason(ledger: Ledger, clock: Clock) -> None:
    await ledger.refusals.write(batch(1, ONE, signature=5))
    await ledger.refusals.write(batch(1, ONE, signature=5))
    clock.advance(7200)
    await ledger.refusals.write(batch(2, ONE, signature=2, method=1))
    hours = await ledger.refusals.hours(clock.now, 3)
    assert [counts for _, counts in hours] == [{"signature": 5}, {}, {"signature": 2, "method": 1}]
    assert [at - NOON // 3600 * 3600 for at, _ in hours] == [0, 3600, 7200]
    assert 0 < await ledger.redis.ttl(f"{keys.REFUSED_HOUR}{int(clock.now // 3600)}") <= 49 * 3600


async def test_an_empty_ledger_has_refused_nothing(ledger: Ledger) -> None:
    assert await ledger.refusals.listed(50, None) == {"items": [], "next": None, "totals": {}}


async def test_totals_are_of_all_and_entries_may_be_fewer(ledger: Ledger) -> None:
    await ledger.refusals.write(batch(1, ONE, signature=5000, method=2))
    await ledger.refusals.write(batch(2, ONE, signature=7))
    assert await ledger.refusals.totals() == {"method": 2, "signature": 5007}
    assert (await ledger.reading.tally())["refused_signature"] == 5007
    assert len(await sizes(ledger)) == 2


async def test_a_batch_sent_again_after_a_lost_answer_is_written_once(ledger: Ledger) -> None:
    for sent in (batch(1, ONE, signature=3), batch(1, ONE, signature=3), batch(2, ONE, signature=1)):
        await ledger.refusals.write(sent)
    assert await ledger.refusals.totals() == {"signature": 4}
    assert len(await sizes(ledger)) == 2


async def test_the_same_number_of_two_processes_is_two_batches(ledger: Ledger) -> None:
    for process in ("a", "b"):
        await ledger.refusals.write(batch(1, ONE, process=process, signature=3))
    assert await ledger.refusals.totals() == {"signature": 6}


async def test_two_that_are_alike_are_two(ledger: Ledger) -> None:
    await ledger.refusals.write(batch(1, ONE, ONE, signature=2))
    assert (await ledger.refusals.page(9, None))[0] == [ONE, ONE]


async def test_the_last_thousand_are_kept_for_thirty_days(ledger: Ledger) -> None:
    for number in range(12):
        some = numbered(*range(number * 100, number * 100 + 100))
        await ledger.refusals.write(batch(number, *some, signature=100))
    assert await sizes(ledger, 2000) == list(range(1199, 199, -1))
    assert await ledger.refusals.totals() == {"signature": 1200}
    assert LIVES - 60 < await ledger.redis.ttl(keys.REFUSED) <= LIVES == 30 * 86_400


async def test_nothing_of_it_lives_for_ever_but_the_totals(ledger: Ledger) -> None:
    await ledger.refusals.write(batch(1, ONE, signature=1))
    found = await ledger.redis.keys("*")
    assert {key for key in found if await ledger.redis.ttl(key) < 0} == {
        keys.TALLY,
        keys.SEQUENCE,
        keys.SCHEMA,
    }
    assert {keys.REFUSED, f"{keys.REFUSED_BY}p"} < set(found)


async def test_pages_join_without_a_seam_while_more_come(ledger: Ledger) -> None:
    await ledger.refusals.write(batch(1, *numbered(*range(7)), signature=7))
    seen: list[int | None] = []
    cursor: str | None = None
    for number, expected in enumerate((3, 3, 1), start=2):
        page, cursor = await ledger.refusals.page(3, cursor)
        assert len(page) == expected
        seen += [one.size for one in page]
        await ledger.refusals.write(batch(number, *numbered(100 * number), signature=1))
    assert (seen, cursor) == ([6, 5, 4, 3, 2, 1, 0], None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\ntwo\x1b[2J\u202e", r"one\ntwo\x1b[2J\u202e"),
        ("größer 騎士", "größer 騎士"),
        ("half \ud800", r"half \ud800"),
        ('"} {"', '"} {"'),
    ],
)
async def test_a_strangers_text_is_kept_printable(ledger: Ledger, text: str, shown: str) -> None:
    await ledger.refusals.write(batch(1, dataclasses.replace(ONE, source=text, why=text), signature=1))
    ((found,), _) = await ledger.refusals.page(1, None)
    assert (found.source, found.why) == (shown, shown)


@pytest.mark.parametrize("letter", ["x", "\x00", "\U000e0001"])
async def test_a_strangers_text_is_cut(ledger: Ledger, letter: str) -> None:
    long = letter * 100_000
    await ledger.refusals.write(
        batch(1, dataclasses.replace(ONE, source=long, why=long, webhook_id=long), signature=1)
    )
    ((found,), _) = await ledger.refusals.page(1, None)
    assert (len(found.source), len(found.why), len(found.webhook_id or "")) == (64, 200, 64)


async def test_a_word_of_a_newer_version_is_shown_as_it_is(ledger: Ledger) -> None:
    newer = json.loads(ONE.encoded()) | {"reason": "melody", "tune": "C"}
    await ledger.redis.zadd(keys.REFUSED, {f"7 {json.dumps(newer)}": 7})
    await ledger.redis.hset(keys.TALLY, "refused_melody", "1")
    listed = await ledger.refusals.listed(1, None)
    assert listed["items"][0]["reason"] == "melody"
    assert listed["totals"] == {"melody": 1}
