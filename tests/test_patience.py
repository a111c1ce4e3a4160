"""How long a download is waited for. The loop's clock is the test's own: time passes when it says so."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from workers.patience import Patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

IDLE, TOTAL = 10.0, 25.0
TURNS = 10
"""More than it takes from a timer that goes off to the end of the task that it cancels."""


class Time:
    def __init__(self, now: float) -> None:
        self.now = now

    async def passes(self, seconds: float) -> None:
        self.now += seconds
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def patience(self) -> Patience:
        return Patience(IDLE, self.now + TOTAL)


@pytest.fixture
async def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    loop = asyncio.get_running_loop()
    time = Time(loop.time())
    monkeypatch.setattr(loop, "time", lambda: time.now)
    return time


class Listener:
    """Waits for one word after the other."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.words: asyncio.Queue[str] = asyncio.Queue()
        self.heard = 0
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async with self.patience:
            while True:
                self.patience.wait()
                await self.words.get()
                self.patience.heard()
                self.heard += 1


@asynccontextmanager
async def listening(time: Time) -> AsyncIterator[Listener]:
    listener = Listener(time.patience())
    await time.passes(0)
    yield listener
    listener.task.cancel()
    await asyncio.gather(listener.task, return_exceptions=True)


def lost(listener: Listener) -> bool:
    """By now: nothing goes off while the test's clock stands."""
    assert listener.task.done(), "it is still waited for"
    assert isinstance(listener.task.exception(), TimeoutError)
    return listener.patience.lost


async def test_silence_comes_to_its_end_and_not_before(time: Time) -> None:
    async with listening(time) as listener:
        await time.passes(IDLE - 0.1)
        assert not listener.task.done()
        await time.passes(0.1)
        assert lost(listener)


@pytest.mark.parametrize("after", [0.1, 4.0, 9.9])
async def test_silence_counts_from_the_last_word_whenever_that_came(time: Time, after: float) -> None:
    async with listening(time) as listener:
        await time.passes(after)
        listener.words.put_nowait("word")
        await time.passes(0)
        for _ in range(4):
            await time.passes((IDLE - 0.1) / 4)
        assert not listener.task.done()
        await time.passes(0.2)
        assert lost(listener)


async def test_a_deadline_ends_what_is_never_silent(time: Time) -> None:
    async with listening(time) as listener:
        for _ in range(24):
            listener.words.put_nowait("word")
            await time.passes(1)
        assert listener.heard == 24
        assert not listener.task.done()
        await time.passes(1)
        assert lost(listener)


async def test_no_silence_outlasts_the_deadline(time: Time) -> None:
    async with listening(time) as listener:
        for _ in range(3):
            listener.words.put_nowait("word")
            await time.passes(8)
        listener.words.put_nowait("word")
        await time.passes(1.1)
        assert lost(listener)


async def test_it_runs_only_while_somebody_is_waited_for(time: Time) -> None:
    """What has come is hashed and written meanwhile, however long that takes."""
    patience, worked = time.patience(), asyncio.Event()

    async def working() -> str:
        async with patience:
            patience.wait()
            patience.heard()
            await worked.wait()
        return "done"

    task = asyncio.create_task(working())
    for _ in range(10):
        await time.passes(IDLE)
    assert not task.done()
    worked.set()
    assert await task == "done"
    assert not patience.lost


async def test_whoever_waits_anew_behind_the_deadline_does_not_wait_long(time: Time) -> None:
    patience, worked = time.patience(), asyncio.Event()

    async def working() -> None:
        async with patience:
            await worked.wait()
            patience.wait()
            await asyncio.Event().wait()

    task = asyncio.create_task(working())
    await time.passes(TOTAL + 1)
    worked.set()
    await time.passes(0)
    await time.passes(IDLE)
    assert task.done()
    assert isinstance(task.exception(), TimeoutError)
    assert patience.lost


async def test_a_cancellation_by_others_passes_through_as_one(time: Time) -> None:
    async with listening(time) as listener:
        listener.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listener.task
        assert not listener.patience.lost


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError("of the block's own")])
async def test_an_error_of_the_block_passes_through(time: Time, error: OSError) -> None:
    patience = time.patience()

    async def failing() -> None:
        async with patience:
            patience.wait()
            raise error

    with pytest.raises(type(error)) as caught:
        await failing()
    assert caught.value is error
    assert not patience.lost


async def test_after_the_block_nothing_is_cut(time: Time) -> None:
    patience, over = time.patience(), asyncio.Event()

    async def going_on() -> str:
        async with patience:
            patience.wait()
        await over.wait()
        return "done"

    task = asyncio.create_task(going_on())
    for _ in range(10):
        await time.passes(IDLE)
    over.set()
    assert await task == "done"
    assert not patience.lost


async def test_waiting_and_hearing_tell_the_instant(time: Time) -> None:
    async with (patience := time.patience()):
        began = patience.wait()
        await time.passes(3)
        assert (began, patience.heard()) == (time.now - 3, time.now)
