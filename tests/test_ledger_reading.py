from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import keys
from service.errors import Conflict, InvalidInput, NotFound
from service.ledger import query
from service.ledger.query import Query
from service.prediction import Disposition, Reason, Ref, Stage
from tests.builders import (
    Clock,
    accept,
    callback,
    completed,
    deliveries,
    failed,
    finish,
    hook,
    lease,
    output,
    ref,
    tracked,
)

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio


async def ids(ledger: Ledger, words: str = "", limit: int = 50, cursor: str | None = None) -> list[str]:
    items, _ = await ledger.reading.page(query.parse(words, 0), limit, cursor)
    return [item["id"] for item in items]


async def test_the_public_object_has_the_contracts_fields(ledger: Ledger) -> None:
    await accept(ledger, callback(completed(created_at=1_699_999_999.5)))
    await finish(ledger, hooks=[hook()], outputs=[output(private="not shown")])
    found = await ledger.reading.prediction(ref())
    assert found is not None
    assert {name: found[name] for name in ("id", "source", "model", "stage", "status", "received_via")} == {
        "id": "p1",
        "source": "main",
        "model": "acme/painter",
        "stage": "done",
        "status": "completed",
        "received_via": "callback",
    }
    assert found["created_at"] == "2023-11-14T22:13:19.500Z"
    assert found["received_at"] == found["finished_at"] == "2023-11-14T22:13:20.000Z"
    assert (found["reason"], found["attempts"], found["metadata"]) == (None, 1, {})
    assert found["outputs"] == [output()]
    assert set(found["timeline"][0]) == {"at", "step", "detail"}
    assert found["timeline"][0]["at"] == "2023-11-14T22:13:20.000Z"
    assert {"id", "event_id", "event", "prediction", "hook", "state", "attempts", "last_status",
            "next_attempt_at", "error"} <= set(found["deliveries"][0])  # fmt: skip
    assert await ledger.reading.prediction(ref("nobody")) is None
    assert await ledger.reading.record(ref("nobody")) is None


async def test_pages_are_exact_while_newer_ones_arrive(ledger: Ledger) -> None:
    await accept(ledger, *(callback(completed(f"p{n}")) for n in range(25)))
    seen, cursor, arrived = [], None, 0
    while True:
        items, cursor = await ledger.reading.page(Query(), 4, cursor)
        seen += [item["id"] for item in items]
        if cursor is None:
            break
        arrived += 1
        await accept(ledger, callback(completed(f"new{arrived}")))
    assert seen == [f"p{n}" for n in range(24, -1, -1)]


async def test_a_page_of_everything_reads_no_more_than_it_shows(ledger: Ledger) -> None:
    await accept(ledger, *(callback(completed(f"p{number}")) for number in range(9)))
    # What is lacking is made up for by what follows.
    await ledger.redis.delete(keys.PREDICTION + str(ref("p7")))
    before = await calls(ledger, "hmget")
    assert await ids(ledger, limit=3) == ["p8", "p6", "p5"]
    assert await ids(ledger, "stage:accepted", limit=1) == ["p8"]
    assert await calls(ledger, "hmget") - before == 3 + 6 + 1


async def calls(ledger: Ledger, command: str) -> int:
    found: dict[str, int] = (await ledger.redis.info("commandstats")).get(f"cmdstat_{command}", {"calls": 0})
    return found["calls"]


async def test_a_page_by_stage_stays_in_order_of_arrival(ledger: Ledger) -> None:
    await accept(ledger, *(callback(completed(f"p{n}")) for n in range(4)), tracked("waits"))
    for id_ in ("p2", "p0", "p3"):
        await finish(ledger, id_)
    assert await ids(ledger, "stage:done") == ["p3", "p2", "p0"]
    assert await ids(ledger, "stage:accepted") == ["p1"]
    assert await ids(ledger, "stage:dead") == []


async def test_a_query_reads_on_until_its_page_is_full(ledger: Ledger) -> None:
    await accept(
        ledger, *(callback(completed(f"p{n}", model="rare" if n % 90 == 0 else "usual")) for n in range(271))
    )
    items, cursor = await ledger.reading.page(Query(model="rare"), 3, None)
    assert [item["id"] for item in items] == ["p270", "p180", "p90"]
    rest, end = await ledger.reading.page(Query(model="rare"), 3, cursor)
    assert ([item["id"] for item in rest], end) == (["p0"], None)


async def test_a_query_that_finds_little_gives_a_cursor_before_it_reads_everything(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.ledger.reading._CHUNKS", 1)
    await accept(ledger, *(callback(completed(f"p{n}")) for n in range(150)))
    items, cursor = await ledger.reading.page(Query(id="p0"), 3, None)
    assert items == []
    rest, end = await ledger.reading.page(Query(id="p0"), 3, cursor)
    assert ([item["id"] for item in rest], end) == (["p0"], None)


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "²", "1 "])
async def test_a_cursor_of_ones_own_making_is_refused(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await ledger.reading.page(Query(), 3, cursor)
    with pytest.raises(InvalidInput, match="cursor"):
        await ledger.reading.deliveries(3, cursor)


async def test_what_a_newer_version_wrote_is_shown_as_it_is(ledger: Ledger) -> None:
    await accept(ledger, *(callback(completed(id_)) for id_ in ("p1", "p2")))
    newer = {"stage": "reviewing", "nsfw": "cz", "said_reason": "new", "via": "pigeon", "hue": "green"}
    for name, value in newer.items():
        await ledger.redis.hset(keys.PREDICTION + str(ref()), name, value)
    assert await ids(ledger) == ["p2", "p1"]
    found = await ledger.reading.prediction(ref())
    assert found is not None
    assert (found["stage"], found["received_via"]) == ("reviewing", "pigeon")
    record = await ledger.reading.record(ref())
    assert record is not None
    assert (record.nsfw[1], record.said_reason) == ("flagged", Reason.PROVIDER_FAILED)
    standings = await ledger.reading.standings([ref(), ref("nobody")])
    assert {one: standing.stage for one, standing in standings.items()} == {ref(): "reviewing"}
    assert await ledger.predictions.replay(ref()) == "reviewing"


async def test_a_corrupt_record_does_not_break_the_page_it_stands_on(ledger: Ledger) -> None:
    await accept(ledger, *(callback(completed(f"p{n}")) for n in range(4)))
    await ledger.redis.hset(keys.PREDICTION + str(ref("p1")), mapping={"outputs": "[1", "attempts": "many"})
    await ledger.redis.set(keys.PREDICTION + str(ref("p2")), "no hash")
    assert await ids(ledger) == ["p3", "p1", "p0"]


async def test_an_id_is_found_by_itself_unless_two_sources_share_it(ledger: Ledger) -> None:
    both = ("left", "right")
    with pytest.raises(NotFound):
        await ledger.reading.find("p1", None, both)
    await accept(ledger, callback(completed(), "left"))
    assert await ledger.reading.find("p1", None, both) == Ref("left", "p1")
    await accept(ledger, callback(completed(), "right"))
    with pytest.raises(Conflict, match="left, right"):
        await ledger.reading.find("p1", None, both)
    assert await ledger.reading.find("p1", "right", both) == Ref("right", "p1")


async def test_the_backlog_is_nothing_only_when_everything_is_drained(ledger: Ledger, clock: Clock) -> None:
    async def backlog() -> float:
        return float((await ledger.reading.scaling())["backlog"])

    assert await backlog() == 0
    await accept(ledger, tracked("asked", due_in=60))
    assert await backlog() == 0, "awaited and not due is nothing to do"
    clock.advance(60)
    assert await backlog() == 1
    await ledger.sweeping.due_polls(10, 2, 1.5, 60)
    await accept(ledger, callback(completed()))
    assert (await ledger.reading.scaling())["waiting"] == 1
    await finish(ledger, hooks=[hook()])
    assert (await ledger.reading.scaling())["deliveries_due"] == 1
    delivery = await ledger.deliveries.take((await deliveries(ledger))[0]["id"], 20)
    assert delivery is not None
    assert await backlog() == 1, "in flight is not drained"
    await ledger.deliveries.postpone(delivery, 300)
    assert await backlog() == 0, "a retry in five minutes is nothing to do now"
    clock.advance(300)
    scaling = await ledger.reading.scaling()
    assert (scaling["deliveries_due"], scaling["due"], scaling["awaited"]) == (1, 1, 1)


async def test_scaling_counts_what_is_worked_on(ledger: Ledger) -> None:
    await accept(ledger, *(callback(completed(f"p{n}")) for n in range(3)))
    await lease(ledger, "p0")
    assert await ledger.reading.scaling() == {
        "backlog": 3,
        "waiting": 2,
        "working": 1,
        "due": 0,
        "awaited": 0,
        "deliveries_due": 0,
        "oldest_due_seconds": 0,
        "nearest_deletion_seconds": None,
    }


async def test_work_that_nobody_takes_grows_old_though_the_sweeper_looks_after_it(
    ledger: Ledger, clock: Clock
) -> None:
    await accept(ledger, callback(completed()))
    for _ in range(10):
        clock.advance(6)
        await ledger.sweeping.sweep(10, reclaim=True)
    assert (await ledger.reading.scaling())["oldest_due_seconds"] == 60


async def test_totals_and_counts_tell_of_every_end(ledger: Ledger) -> None:
    await accept(ledger, callback(completed("p1")), callback(failed("p2")), tracked("p3"))
    await finish(ledger, "p1", outputs=[output(0, Disposition.HELD)])
    await finish(ledger, "p2", Stage.FAILED)
    counts = await ledger.reading.counts()
    assert {stage: n for stage, n in counts.items() if n} == {"done": 1, "failed": 1, "awaited": 1}
    tally = await ledger.reading.tally()
    assert (tally["via_callback"], tally["stage_done"], tally["stage_failed"]) == (2, 1, 1)
