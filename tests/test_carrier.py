"""The sweeper carries out the runs that the API was asked for, and who leads next goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from service import keys, runs
from service.ledger.runs import Kind, Order
from service.prediction import Stage
from tests.builders import accept, callback, completed, finish, stage_of
from tests.workplace import until
from workers.carrier import Carrier

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio


async def planned(ledger: Ledger, rate: float = 1_000.0) -> str:
    """Three dead ones, and a run over them that somebody asked for."""
    for id_ in ("p1", "p2", "p3"):
        await accept(ledger, callback(completed(id_)))
        await finish(ledger, id_, Stage.DEAD)
    run = await runs.plan(ledger, Order(Kind.REPLAY, "stage:dead", rate=rate))
    await ledger.runs.ask(run.id, 1.0)
    return run.id


async def positions(ledger: Ledger, run_id: str) -> int:
    return (await ledger.runs.get(run_id)).position


async def test_a_run_is_carried_out_and_thought_of_no_more(ledger: Ledger) -> None:
    run_id = await planned(ledger)
    carrier = Carrier(ledger, lambda: True)
    await carrier.look()

    async def over() -> bool:
        return not await ledger.runs.asked(5)

    await until(over)
    assert [await stage_of(ledger, id_) for id_ in ("p1", "p2", "p3")] == ["accepted"] * 3
    assert (await ledger.runs.get(run_id)).done == 3
    await carrier.stop()


async def test_who_leads_no_more_stops_and_the_next_one_goes_on(ledger: Ledger) -> None:
    run_id = await planned(ledger, rate=2.0)
    leads = True
    first = Carrier(ledger, lambda: leads)
    await first.look()

    async def begun() -> bool:
        return await positions(ledger, run_id) >= 1

    await until(begun)
    leads = False
    await until(lambda: all(task.done() for task in first._tasks.values()))
    stopped = await positions(ledger, run_id)
    assert 1 <= stopped < 3
    assert await ledger.runs.asked(5) == [run_id]

    second = Carrier(ledger, lambda: True)
    await second.look()
    await second.look()
    await asyncio.gather(*second._tasks.values())
    assert await positions(ledger, run_id) == 3
    await first.stop()
    await second.stop()


async def test_a_run_that_is_forgotten_is_none(ledger: Ledger) -> None:
    run_id = await planned(ledger)
    await ledger.redis.delete(keys.RUN + run_id)
    carrier = Carrier(ledger, lambda: True)
    await carrier.look()
    await asyncio.gather(*carrier._tasks.values())
    assert await ledger.runs.asked(5) == []
    await carrier.stop()


async def test_a_bug_of_one_is_no_secret_and_the_others_go_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await planned(ledger)
    carrier = Carrier(ledger, lambda: True)

    async def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(runs, "carry_on", fails)
    await carrier.look()
    await until(lambda: all(task.done() for task in carrier._tasks.values()))
    with pytest.raises(RuntimeError, match="a bug"):
        await carrier.look()
    monkeypatch.undo()
    await carrier.look()

    async def over() -> bool:
        return not await ledger.runs.asked(5)

    await until(over)
    await carrier.stop()
