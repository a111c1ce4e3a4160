"""Hooks that are Redis streams: once for each delivery, bounded, and nothing unread goes within the bound."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from service import keys
from service.clock import now
from service.hooks import Hook
from service.ledger import Ledger
from tests.builders import RETENTION, Clock, accept, callback, completed, deliveries, finish, output
from tests.test_ledger_deliveries import shown, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

KEY = keys.STREAM + "events"
DAY = 86_400.0


def stream_hook(**more: Any) -> Hook:
    return Hook.model_validate({"name": "lake", "kind": "redis-stream", "stream": "events"} | more)


@pytest.fixture
def clock() -> Clock:
    """Entries are numbered by the server's own clock."""
    return Clock(now())


@pytest.fixture
async def ledger(redis_url: str, clock: Clock) -> AsyncIterator[Ledger]:
    opened = Ledger(redis_url, RETENTION, virtual_now=clock)
    yield opened
    await opened.aclose()


async def told(ledger: Ledger, id_: str = "p1", hook: Hook | None = None) -> str:
    await accept(ledger, callback(completed(id_)))
    await finish(ledger, id_, hooks=[hook or stream_hook()], outputs=[output()])
    return str((await deliveries(ledger, id_))[0]["id"])


async def written(ledger: Ledger, *ids: str, hook: Hook | None = None) -> None:
    for id_ in ids:
        taken = await take(ledger, await told(ledger, id_))
        assert await ledger.streams.deliver(taken, hook or stream_hook()) is None


async def entries(ledger: Ledger) -> list[dict[str, str]]:
    found = cast("list[Any]", await ledger.redis.xrange(KEY))
    return [fields for _, fields in found]


async def read(ledger: Ledger, group: str, most: int = 100) -> list[str]:
    """What a group is given; the entries' ids."""
    found = cast("Any", await ledger.redis.xreadgroup(group, "me", {KEY: ">"}, count=most))
    streams = found.items() if isinstance(found, dict) else found
    return [id_ for _, some in streams for id_, _ in some]


async def test_an_event_stands_in_the_stream_and_its_delivery_is_over(ledger: Ledger) -> None:
    taken = await take(ledger, await told(ledger))
    assert await ledger.streams.deliver(taken, stream_hook(), ms=3) is None
    (entry,) = await entries(ledger)
    assert entry == {"id": taken.event_id, "type": "prediction.completed", "body": taken.body}
    assert json.loads(entry["body"])["data"]["id"] == "p1"
    assert (await shown(ledger, taken.id))["state"] == "delivered"
    found = await ledger.reading.delivery(taken.id)
    assert found is not None
    assert [(one.status, one.ms, one.error) for one in found.history] == [(None, 3, None)]


async def test_whoever_asks_twice_or_too_late_writes_nothing(ledger: Ledger, clock: Clock) -> None:
    """A lost answer of Redis is asked for again; a worker that slept has lost the delivery to another."""
    taken = await take(ledger, await told(ledger))
    for _ in range(3):
        assert await ledger.streams.deliver(taken, stream_hook()) is None
    late = await take(ledger, await told(ledger, "p2"))
    clock.advance(60)
    await ledger.sweeping.sweep(10, reclaim=True)
    assert await ledger.streams.deliver(await take(ledger, late.id), stream_hook()) is None
    assert await ledger.streams.deliver(late, stream_hook()) is None
    assert len(await entries(ledger)) == 2


async def test_what_is_sent_again_is_written_again_under_its_id(ledger: Ledger) -> None:
    await written(ledger, "p1")
    (delivery,) = await deliveries(ledger, "p1")
    await ledger.deliveries.send_again([delivery["id"]])
    assert await ledger.streams.deliver(await take(ledger, delivery["id"]), stream_hook()) is None
    first, second = await entries(ledger)
    assert first == second


async def test_a_key_that_is_no_stream_is_named_and_the_delivery_stays(ledger: Ledger) -> None:
    await ledger.redis.set(KEY, "in the way", ex=60)
    taken = await take(ledger, await told(ledger))
    assert "WRONGTYPE" in (await ledger.streams.deliver(taken, stream_hook()) or "")
    assert (await shown(ledger, taken.id))["state"] == "pending"
    assert await ledger.streams.trim(stream_hook()) == (0, False)


async def test_it_never_has_more_entries_than_maxlen_whether_they_were_read_or_not(ledger: Ledger) -> None:
    short = stream_hook(maxlen=3)
    await ledger.redis.xgroup_create(KEY, "slow", id="0", mkstream=True)
    await written(ledger, "p1", "p2", "p3", hook=short)
    assert await ledger.streams.trim(short) == (0, True), (
        "the next one costs the group an entry: said in time"
    )
    await written(ledger, "p4", "p5", hook=short)
    assert [json.loads(one["body"])["data"]["id"] for one in await entries(ledger)] == ["p3", "p4", "p5"]


async def test_by_age_goes_only_what_every_group_has_acknowledged(ledger: Ledger, clock: Clock) -> None:
    hook = stream_hook(max_age="1d")
    await written(ledger, *(f"p{n}" for n in range(6)), hook=hook)
    for group in ("quick", "slow"):
        await ledger.redis.xgroup_create(KEY, group, id="0")
    await ledger.redis.xack(KEY, "quick", *await read(ledger, "quick"))
    given = await read(ledger, "slow", 4)
    assert await ledger.streams.trim(hook) == (0, False), "nothing is old yet"

    clock.advance(2 * DAY)
    assert await ledger.streams.trim(hook) == (0, False), "the slow one has acknowledged nothing"
    await ledger.redis.xack(KEY, "slow", *given[:2])
    assert await ledger.streams.trim(hook) == (2, False)
    await ledger.redis.xack(KEY, "slow", *given[2:])
    assert await ledger.streams.trim(hook) == (1, False), "the last that it was given marks its place"
    left = await read(ledger, "slow")
    assert len(left) == 2, "and it misses nothing"
    await ledger.redis.xack(KEY, "slow", *left)
    await ledger.streams.trim(hook)
    assert len(await entries(ledger)) == 1


async def test_without_a_group_what_is_old_goes(ledger: Ledger, clock: Clock) -> None:
    await written(ledger, "p1", "p2")
    clock.advance(8 * DAY)
    assert await ledger.streams.trim(stream_hook()) == (2, False)
    assert await ledger.streams.trim(stream_hook(stream="nobody-writes-it")) == (0, False)
