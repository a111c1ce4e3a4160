"""Lists are found by their words without walking all of them, and nothing is missed, whoever wrote it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.errors import InvalidInput
from service.hooks import Dead
from service.ledger import Commit, query
from service.ledger.pages import position
from service.ledger.walking import BLOCK
from service.prediction import Nsfw, Reason, Ref, Stage
from tests.builders import (
    LEASE,
    RETENTION,
    Clock,
    accept,
    callback,
    completed,
    failed,
    finish,
    hook,
    lease,
    polled,
    ref,
    tracked,
)

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio


async def found(ledger: Ledger, words: str, now: float = 0.0, limit: int = 3) -> list[str]:
    """All pages."""
    ids: list[str] = []
    cursor = None
    while True:
        items, cursor = await ledger.reading.page(query.parse(words, now), limit, cursor)
        ids += [item["id"] for item in items]
        if cursor is None:
            return ids


async def reads(ledger: Ledger) -> int:
    """How many records were looked at so far, in any way."""
    stats = await ledger.redis.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("hmget", "hgetall"))


async def far_apart(ledger: Ledger, *ids: str) -> None:
    """Each in blocks of its own, with usual ones between them."""
    for number, id_ in enumerate(ids):
        await ledger.redis.incrby(keys.SEQUENCE, BLOCK)
        await accept(ledger, callback(completed(id_, model="acme/rare")))
        for half in range(2):
            await ledger.redis.incrby(keys.SEQUENCE, BLOCK)
            usual = [callback(completed(f"u{number}{half}{n}")) for n in range(150)]
            await accept(ledger, *usual)


@pytest.fixture
async def marked(ledger: Ledger) -> Ledger:
    """A ledger that began with this version."""
    await ledger.sweeping.trim(1)
    return ledger


@pytest.mark.parametrize("words", ["model:acme/rare", "model:acme/r*", "model:acme/rare via:callback"])
async def test_a_rare_model_is_found_without_looking_at_the_others(marked: Ledger, words: str) -> None:
    await far_apart(marked, "p1", "p2", "p3")
    before = await reads(marked)
    assert await found(marked, words) == ["p3", "p2", "p1"]
    assert await reads(marked) - before < 20


async def test_what_an_older_version_wrote_is_found_too(ledger: Ledger, clock: Clock) -> None:
    await far_apart(ledger, "p1", "p2")
    for key in await ledger.redis.keys(f"{keys.WORD}*"):
        await ledger.redis.delete(key)
    await ledger.sweeping.trim(1)
    assert await found(ledger, "model:acme/rare") == ["p2", "p1"]
    # One of that version may still be at work for an hour.
    clock.advance(3599)
    await accept(ledger, callback(completed("p3", model="acme/rare")))
    await ledger.redis.delete(keys.WORD + "model:acme/rare")
    await ledger.sweeping.trim(1)
    clock.advance(60)
    await ledger.sweeping.trim(1)
    await far_apart(ledger, "p4")
    assert await found(ledger, "model:acme/rare") == ["p4", "p3", "p2", "p1"]


async def test_a_word_is_known_from_when_it_is_true(marked: Ledger) -> None:
    await accept(marked, tracked("p1"), tracked("p2"), callback(completed("p3")))
    await accept(marked, polled(completed("p1", "u", model="late")), callback(completed("p3", "f")))
    await accept(marked, callback(failed("p2")))
    assert await found(marked, "model:late") == await found(marked, "via:poll nsfw:unknown") == ["p1"]
    assert await found(marked, "nsfw:flagged") == ["p3"]
    assert await found(marked, "err:luck") == ["p2"]


async def test_an_error_is_found_wherever_it_stands(marked: Ledger) -> None:
    await accept(marked, *(callback(completed(f"p{n}")) for n in range(4)))
    ends = (
        Commit(Stage.DEAD, Reason.OUTPUTS_BAD, "read timeout", outputs=[]),
        Commit(Stage.DONE, outputs=[{"index": 0, "disposition": "lost", "error": "refused_host"}]),
        Commit(Stage.ACCEPTED, error="connect timeout", due_in=60),
        Commit(Stage.DONE, outputs=[{"index": 0, "disposition": "stored", "error": None}]),
    )
    for number, end in enumerate(ends):
        record = await lease(marked, f"p{number}")
        await marked.predictions.commit(record.ref, Stage.WORKING, record.token, end)
    assert await found(marked, "err:timeout") == ["p2", "p0"]
    assert await found(marked, "err:refused_*") == ["p1"]
    assert await found(marked, "stage:dead err:timeout") == ["p0"]


async def test_a_replay_is_a_way_to_come(marked: Ledger) -> None:
    await accept(marked, callback(completed()))
    await finish(marked, to=Stage.DEAD)
    assert await marked.predictions.replay(ref()) is Stage.ACCEPTED
    assert await found(marked, "via:replay") == ["p1"]


async def test_a_time_is_found_by_halving(marked: Ledger, clock: Clock) -> None:
    for number in range(40):
        await accept(marked, *(callback(completed(f"p{number}x{n}")) for n in range(50)))
        clock.advance(600)
    before = await reads(marked)
    ids = await found(marked, "until:5h since:18610s", clock.now, limit=200)
    assert ids == [f"p10x{n}" for n in range(49, -1, -1)] + [f"p9x{n}" for n in range(49, -1, -1)]
    assert await reads(marked) - before < 300, "of 2,000"
    assert await found(marked, "since:1s", clock.now) == []
    assert await found(marked, "until:30h", clock.now) == []


async def test_a_replay_does_not_make_it_younger(marked: Ledger, clock: Clock) -> None:
    await accept(marked, tracked("p1"))
    end = Commit(Stage.EXPIRED, Reason.DEADLINE)
    await marked.predictions.commit(ref(), Stage.AWAITED, "", end)
    clock.advance(7200)
    assert await marked.predictions.replay(ref()) is Stage.AWAITED
    assert await found(marked, "since:1h", clock.now) == []
    assert await found(marked, "until:1h", clock.now) == ["p1"]


async def test_a_hook_finds_whom_it_was_told_of(ledger: Ledger) -> None:
    for number in range(3):
        await accept(ledger, callback(completed(f"p{number}")))
        await finish(ledger, f"p{number}", hooks=[hook("crm")] + [hook("mail")] * (number == 1))
    assert await found(ledger, "hook:mail") == ["p1"]
    assert await found(ledger, "hook:c*") == ["p2", "p1", "p0"]
    await ledger.compacting.compact(0, 10)
    assert await found(ledger, "hook:mail") == ["p1"]


async def test_a_whole_id_is_looked_up(ledger: Ledger) -> None:
    await accept(ledger, *(callback(completed(f"p{n}")) for n in range(300)))
    before = await reads(ledger)
    items, cursor = await ledger.reading.page(query.parse("id:p7", 0), 5, None, ("main", "other"))
    assert ([item["id"] for item in items], cursor) == (["p7"], None)
    assert await reads(ledger) - before < 5
    for words in ("id:p7 stage:done", "id:p7 model:no", "id:p7 source:other", "id:no"):
        assert await ledger.reading.page(query.parse(words, 0), 5, None, ("main",)) == ([], None)


async def test_dead_deliveries_are_found_among_many(marked: Ledger, clock: Clock) -> None:
    for number in range(4):
        await accept(marked, callback(completed(f"p{number}")))
        await finish(marked, f"p{number}", hooks=[hook("crm"), hook("mail")])
        await marked.redis.incrby(keys.SEQUENCE, BLOCK)
        clock.advance(3600)
    everything, _ = await marked.reading.deliveries(50, None)
    one = next(item for item in everything if (item["prediction"], item["hook"]) == ("p1", "crm"))
    taken = await marked.deliveries.take(one["id"], LEASE)
    assert taken is not None
    gave_up = Dead("answered 500", disable=False)
    await marked.deliveries.attempted(taken, gave_up, status=500, error="answered 500", now=clock.now)

    async def listed(words: str) -> list[str]:
        items, cursor = await marked.reading.deliveries(50, None, query.parse_deliveries(words, clock.now))
        assert cursor is None
        return [item["prediction"] for item in items]

    before = await reads(marked)
    for words in ("state:dead", "err:500", "err:answered state:dead hook:crm", f"id:{one['id']}"):
        assert await listed(words) == ["p1"], words
    assert await reads(marked) - before < 20
    assert await listed("hook:crm") == ["p3", "p2", "p1", "p0"]
    assert await listed("hook:crm since:9000s") == ["p3", "p2"]
    assert await listed("hook:crm until:9000s event:prediction.*") == ["p1", "p0"]
    assert await listed("hook:mail state:dead") == await listed("hook:nobody") == []


async def test_blocks_go_with_their_predictions(marked: Ledger, clock: Clock) -> None:
    await accept(marked, callback(completed("p1", model="old")))
    await finish(marked, "p1")
    await marked.redis.incrby(keys.SEQUENCE, 2 * BLOCK)
    await accept(marked, *(callback(completed(f"q{n}", model=f"m{n:02}")) for n in range(60)))
    clock.advance(RETENTION)
    for _ in range(3):
        await marked.sweeping.trim(10)
    words = list(map(str, await marked.redis.zrange(keys.WORDS, 0, -1)))
    assert "model:old" not in words
    assert len([word for word in words if word.startswith("model:")]) == 60
    assert not await marked.redis.exists(keys.WORD + "model:old")


async def test_more_models_than_can_be_looked_up_are_walked(marked: Ledger) -> None:
    await accept(marked, *(callback(completed(f"p{n:02}", model=f"acme/m{n}")) for n in range(70)))
    assert len(await found(marked, "model:acme/m*", limit=50)) == 70


@pytest.mark.parametrize("cursor", ["-1", "x", "1.5", "\u0663", "9" * 400])
async def test_a_cursor_that_no_list_gave_out_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        position(cursor)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_asked_is_what_looking_at_all_of_it_finds(
    ledger: Ledger, clock: Clock, seed: int
) -> None:
    """Blocks that are known or not, pages that end anywhere, times that fall anywhere."""
    chance = random.Random(seed)
    if seed % 2:
        await ledger.sweeping.trim(1)
    for number in range(60):
        model = f"acme/{chance.choice('abc')}{chance.choice('xy')}"
        await accept(ledger, callback(completed(f"p{number}", chance.choice("ccuf"), model=model)))
        if chance.random() < 0.2:
            await ledger.redis.incrby(keys.SEQUENCE, chance.randrange(3 * BLOCK))
        clock.advance(chance.randrange(600))
        if number == 30:
            await ledger.sweeping.trim(1)
            clock.advance(3600)
            await ledger.sweeping.trim(1)
    everything, _ = await ledger.reading.page(query.Query(), 200, None)
    for _ in range(25):
        words = chance.sample(
            [
                f"model:acme/{chance.choice('abcd')}*",
                f"nsfw:{chance.choice(list(Nsfw))}",
                f"via:{chance.choice(['callback', 'poll'])}",
                f"since:{chance.randrange(20_000, 40_000)}s",
                f"until:{chance.randrange(20_000)}s",
                f"id:p{chance.randrange(10)}*",
            ],
            chance.randrange(1, 4),
        )
        wanted = query.parse(" ".join(words), clock.now)
        records = [await ledger.reading.record(Ref("main", item["id"])) for item in everything]
        expected = [record.ref.id for record in records if record is not None and wanted.matches(record)]
        assert await found(ledger, " ".join(words), clock.now, chance.randrange(1, 9)) == expected, words
