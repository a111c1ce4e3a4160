from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import embedded, intake, keys
from service.errors import LedgerDown
from service.intake import Intake
from service.ledger import Ledger, Outcome
from tests.builders import RETENTION, Clock, callback, completed, jobs, ref, stage_of, tracked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from service.ledger import Arrival

pytestmark = pytest.mark.anyio


@pytest.fixture
def door(ledger: Ledger) -> Intake:
    return Intake(ledger)


@pytest.fixture
async def silence() -> AsyncIterator[Ledger]:
    """A ledger whose Redis takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ledger = Ledger(embedded.url(listener.getsockname()[1]), RETENTION)
        yield ledger
        await ledger.aclose()


def counting(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that are written from now on."""
    sizes: list[int] = []
    write = ledger.predictions.write

    async def counted(encoded: Sequence[bytes]) -> list[Outcome | LedgerDown]:
        sizes.append(len(encoded))
        return await write(encoded)

    monkeypatch.setattr(ledger.predictions, "write", counted)
    return sizes


async def test_four_hundred_duplicates_at_once_make_one_job(door: Intake, ledger: Ledger) -> None:
    outcomes = await asyncio.gather(*(door.accept(callback(completed())) for _ in range(400)))
    assert sorted(outcomes) == [Outcome.KNOWN] * 399 + [Outcome.NEW]
    assert len(await jobs(ledger)) == 1


async def test_two_receivers_with_the_same_duplicates_make_one_job(redis_url: str, ledger: Ledger) -> None:
    other = Ledger(redis_url, RETENTION, virtual_now=Clock())
    doors = (Intake(ledger), Intake(other))
    outcomes = await asyncio.gather(*(doors[n % 2].accept(callback(completed())) for n in range(400)))
    assert outcomes.count(Outcome.NEW) == 1
    assert len(await jobs(ledger)) == 1
    await other.aclose()


async def test_everybody_gets_the_outcome_of_his_own(door: Intake) -> None:
    arrivals: list[Arrival] = [callback(completed(f"p{n}")) for n in range(100)]
    assert await door.accept_all([*arrivals, *arrivals]) == [Outcome.NEW] * 100 + [Outcome.KNOWN] * 100


async def test_what_gathers_while_a_batch_is_written_goes_as_one(
    door: Intake, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = counting(ledger, monkeypatch)
    first = asyncio.create_task(door.accept(tracked("first")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await door.accept_all([tracked(f"p{n}") for n in range(300)])
    await first
    assert sizes == [1, 256, 44]


async def test_a_few_large_ones_make_no_giant_command(
    door: Intake, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "BATCH_BYTES", 10_000)
    sizes = counting(ledger, monkeypatch)
    prompts = ["x" * size for size in (4_000, 4_000, 20_000, 100)]
    await door.accept_all(
        [callback(completed(f"p{n}", payload={"prompt": text})) for n, text in enumerate(prompts)]
    )
    assert sizes == [2, 1, 1]


async def test_what_is_answered_is_durable(door: Intake, ledger: Ledger) -> None:
    await door.accept(callback(completed()))
    assert await stage_of(ledger) == "accepted"
    await door.drained()


async def test_a_silent_redis_is_answered_within_two_seconds_however_many_wait(silence: Ledger) -> None:
    door = Intake(silence)

    async def one(n: int) -> float:
        await asyncio.sleep(n / 1000)
        began = time.monotonic()
        with pytest.raises(LedgerDown):
            await door.accept(tracked(f"p{n}"))
        return time.monotonic() - began

    assert max(await asyncio.gather(*(one(n) for n in range(0, 1200, 2)))) < 2
    began = time.monotonic()
    await door.drained()
    assert time.monotonic() - began < 4, "what nobody waits for is not written"


async def test_a_closed_redis_is_answered_at_once_and_forgiven_when_it_is_back(
    door: Intake, ledger: Ledger, redis_url: str
) -> None:
    away = Ledger(embedded.url(embedded.free_port()), RETENTION)
    closed = Intake(away)
    with pytest.raises(LedgerDown) as down:
        await closed.accept(tracked())
    assert down.value.retry_after
    closed._ledger = ledger
    assert await closed.accept(tracked()) == Outcome.NEW
    await away.aclose()


async def test_a_bug_in_a_batch_reaches_everybody_and_the_next_batch_is_written(
    door: Intake, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(ledger.predictions, "write", None)
        answers = await asyncio.gather(
            *(door.accept(tracked(f"p{n}")) for n in range(300)), return_exceptions=True
        )
    assert {type(answer) for answer in answers} == {TypeError}
    assert await door.accept(tracked()) == Outcome.NEW


async def test_a_corrupt_record_is_its_own_callers_trouble(door: Intake, ledger: Ledger) -> None:
    await ledger.redis.set(keys.PREDICTION + str(ref("bad")), "no hash")
    good, bad = await asyncio.gather(
        door.accept(tracked("good")), door.accept(tracked("bad")), return_exceptions=True
    )
    assert good == Outcome.NEW
    assert isinstance(bad, LedgerDown)


async def test_one_who_hangs_up_takes_nobody_along(door: Intake) -> None:
    tasks = [asyncio.create_task(door.accept(tracked(f"p{n}"))) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert (answers[0], answers[2]) == (Outcome.NEW, Outcome.NEW)


async def test_answers_are_given_in_slices_and_each_gets_its_own() -> None:
    """In between, those who have theirs are already sending the next."""
    loop = asyncio.get_running_loop()
    batch = intake._Batch()
    count = 2 * intake.SLICE + 5
    waiting: list[asyncio.Future[Outcome]] = [loop.create_future() for _ in range(count)]
    for one in waiting:
        batch.add(b"", one)
    outcomes = [(Outcome.NEW, Outcome.KNOWN)[n % 2] for n in range(count)]
    waiting[1].cancel()

    async def written() -> Sequence[Outcome | LedgerDown]:
        return outcomes

    task = asyncio.create_task(written())
    await task
    answered = []
    batch.settle(task)
    while not batch.answered.done():
        answered.append(sum(one.done() for one in waiting))
        await asyncio.sleep(0)
    assert answered == [intake.SLICE, 2 * intake.SLICE]
    assert waiting.pop(1).cancelled()
    assert [one.result() for one in waiting] == outcomes[:1] + outcomes[2:]


async def test_drained_is_only_when_the_last_slice_is_answered(door: Intake) -> None:
    tasks = [asyncio.create_task(door.accept(tracked(f"p{n}"))) for n in range(intake.BATCH)]
    await asyncio.sleep(0)
    await door.drained()
    assert [task.result() for task in tasks] == [Outcome.NEW] * intake.BATCH


async def test_a_batch_that_is_late_is_answered_at_once_as_a_whole_and_the_next_is_a_new_one(
    door: Intake, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, back, sizes = asyncio.Event(), asyncio.Event(), counting(ledger, monkeypatch)
    write = ledger.predictions.write

    async def slow(encoded: Sequence[bytes]) -> list[Outcome | LedgerDown]:
        reached.set()
        await back.wait()
        return await write(encoded)

    monkeypatch.setattr(ledger.predictions, "write", slow)
    first = asyncio.create_task(door.accept(tracked("first")))
    await reached.wait()
    with monkeypatch.context() as hasty:
        hasty.setattr(intake, "ANSWER_WITHIN", 0.1)
        late = [asyncio.create_task(door.accept(tracked(f"p{n}"))) for n in range(3 * intake.SLICE)]
        await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
    assert all(isinstance(one.exception(), LedgerDown) for one in late)
    assert len({id(one.exception()) for one in late}) == len(late)
    assert not first.done()
    again = asyncio.create_task(door.accept(tracked("p0")))
    await asyncio.sleep(0)
    back.set()
    assert (await first, await again) == (Outcome.NEW, Outcome.NEW)
    assert sizes == [1, 1], "what nobody waits for is not written"
    await door.drained()


@settings(max_examples=20, deadline=None)
@given(which=st.lists(st.integers(0, 9), min_size=1, max_size=80))
def test_however_they_come_each_id_is_new_once(redis_server: str, which: list[int]) -> None:
    async def story() -> list[Outcome]:
        ledger = Ledger(redis_server, RETENTION)
        await ledger.redis.flushall()
        outcomes = await Intake(ledger).accept_all([callback(completed(f"p{n}")) for n in which])
        await ledger.aclose()
        return outcomes

    assert asyncio.run(story()).count(Outcome.NEW) == len(set(which))
