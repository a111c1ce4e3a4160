"""What is on its way is bounded; who waits, waits in order, and is forgotten once he has left."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.flight import FIRST_GUESS, Flight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.flight import Place

pytestmark = pytest.mark.anyio

MIB = 1024**2
PER_HOST = 3


@dataclass(eq=False)
class Download:
    """Takes a place and keeps it until it is told to end."""

    flight: Flight
    host: str
    size: int | None = None
    place: Place | None = None
    waited: float = 0.0
    end: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        with self.flight.place() as place:
            self.waited = await place.take(self.host)
            self.place = place
            if self.size is not None:
                place.expect(self.size)
                place.learn()
            await self.end.wait()

    @property
    def begun(self) -> bool:
        return self.place is not None


async def turns() -> None:
    """Of the loop, enough for whoever may go on to have done so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def begun(flight: Flight, hosts: str, size: int | None = None) -> tuple[list[Download], str]:
    """One download for each letter, and the letters of those that did not wait."""
    downloads = []
    for host in hosts:
        downloads.append(Download(flight, host, size))
        await turns()
    return downloads, "".join(one.host for one in downloads if one.begun)


async def ended(*downloads: Download) -> None:
    for one in downloads:
        one.end.set()
        await turns()


def is_empty(flight: Flight) -> bool:
    books = (flight.bytes, flight.downloads, flight.waiting, len(flight._hosts), len(flight._turns))
    return books == (0, 0, 0, 0, 0)


async def test_where_nobody_waits_a_place_costs_no_turn_of_the_loop() -> None:
    flight = Flight(MIB, 1)
    with flight.place() as place:
        with pytest.raises(StopIteration) as taken:
            place.take("a").send(None)
        assert taken.value.value < 0.1
        assert (flight.bytes, flight.downloads) == (MIB * 3 // 4, 1)
    assert is_empty(flight)


async def test_one_host_has_three_quarters_of_the_bytes_and_the_others_the_rest() -> None:
    downloads, at_once = await begun(flight := Flight(8 * MIB, 99), "aaaaaaaabbbb")
    assert (at_once, flight.bytes) == ("aaaaaabb", 8 * MIB)
    await ended(*downloads)
    assert is_empty(flight)


async def test_a_host_at_its_limit_holds_up_nobody_behind_it() -> None:
    downloads, at_once = await begun(flight := Flight(1 << 40, PER_HOST), "aaaaabbca")
    assert (at_once, flight.waiting) == ("aaabbc", 3)
    await ended(downloads[0])
    assert downloads[3].begun
    assert not downloads[4].begun
    await ended(*downloads)
    assert is_empty(flight)


async def test_those_of_one_host_go_in_their_order_and_hosts_take_turns() -> None:
    downloads, at_once = await begun(flight := Flight(most=1, per_host=99), "aaaaabbc")
    assert at_once == "a"
    order = []
    now = downloads[0]
    for _ in downloads[1:]:
        before = {one for one in downloads if one.begun}
        await ended(now)
        (now,) = {one for one in downloads if one.begun} - before
        order.append(downloads.index(now))
    assert order == [1, 5, 7, 2, 6, 3, 4]
    await ended(now)
    assert is_empty(flight)


async def test_what_is_larger_than_the_bound_passes_and_stops_its_own_host_only() -> None:
    flight = Flight(8 * MIB, 99)
    (large, *_), _ = await begun(flight, "a", 1 << 30)
    downloads, at_once = await begun(flight, "ab", MIB)
    assert (at_once, flight.bytes) == ("b", 7 * MIB)
    await ended(large)
    assert all(one.begun for one in downloads)
    await ended(*downloads)
    assert is_empty(flight)


async def test_a_size_that_is_smaller_than_was_thought_lets_the_next_in_at_once() -> None:
    flight = Flight(FIRST_GUESS, 99)
    downloads, at_once = await begun(flight, "aaaa")
    assert at_once == "a"
    for one, following in pairwise(downloads):
        assert not following.begun
        assert one.place
        one.place.expect(1024)
        await turns()
        assert following.begun
    await ended(*downloads)
    assert is_empty(flight)


async def test_outputs_count_for_what_the_latest_ones_were() -> None:
    flight = Flight(1 << 40, 99)
    assert flight.guess == FIRST_GUESS
    for _ in range(25):
        await ended(*(await begun(flight, "a", 100 * MIB))[0])
    assert 90 * MIB < flight.guess < 100 * MIB
    for _ in range(75):
        await ended(*(await begun(flight, "a", 10_000))[0])
    assert 10_000 < flight.guess < FIRST_GUESS
    assert is_empty(flight)


async def test_what_nobody_declared_counts_for_more_once_more_has_come() -> None:
    (one,), _ = await begun(flight := Flight(1 << 40, 99), "a")
    assert one.place
    one.place.grow(1000)
    assert flight.bytes == FIRST_GUESS
    one.place.grow(5 * MIB)
    assert flight.bytes == 5 * MIB
    assert flight.guess == FIRST_GUESS
    await ended(one)
    assert is_empty(flight)


async def test_whoever_is_sent_on_to_another_host_waits_there_and_no_longer_here() -> None:
    flight = Flight(1 << 40, 1)
    (other, waiting), _ = await begun(flight, "ba")
    assert waiting.place
    moved = asyncio.create_task(waiting.place.take("b"))
    (following,), at_once = await begun(flight, "a")
    assert (at_once, moved.done()) == ("a", False)
    await ended(other)
    assert moved.done()
    assert await waiting.place.take("b") == 0
    await ended(waiting, following)
    assert is_empty(flight)


async def test_the_time_that_one_waited_is_told() -> None:
    flight = Flight(1 << 40, 1)
    (first, second), _ = await begun(flight, "aa")
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() == began:
        await turns()
    await ended(first, second)
    assert first.waited < second.waited


async def test_whoever_is_cancelled_while_he_waits_has_never_been_there() -> None:
    downloads, _ = await begun(flight := Flight(1 << 40, 1), "aaa")
    downloads[1].task.cancel()
    await turns()
    assert (flight.downloads, flight.waiting) == (1, 1)
    await ended(downloads[0])
    assert downloads[2].begun
    await ended(downloads[2])
    assert is_empty(flight)


@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_whoever_is_cancelled_as_his_turn_comes_passes_it_on(cancelled_first: bool) -> None:
    first, second, third = (await begun(flight := Flight(1 << 40, 1), "aaa"))[0]
    assert first.place
    for act in (second.task.cancel, first.place.leave)[:: 1 if cancelled_first else -1]:
        act()
    await turns()
    assert second.task.cancelled()
    assert (third.begun, flight.downloads, flight.waiting) == (True, 1, 0)
    await ended(first, third)
    assert is_empty(flight)


async def test_a_host_that_was_forgotten_meanwhile_is_not_forgotten_again() -> None:
    first, second = (await begun(flight := Flight(1 << 40, 1), "aa"))[0]
    assert first.place
    second.task.cancel()
    first.place.leave()
    # The second has not stepped out yet, and the name is taken anew.
    with flight.place() as third:
        with pytest.raises(StopIteration):
            third.take("a").send(None)
        await turns()
        assert (flight.downloads, list(flight._hosts)) == (1, ["a"])
    await ended(first)
    assert is_empty(flight)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "begin", "begin", "end", "cancel", "expect", "grow"]),
        st.integers(0, 20),
        st.sampled_from([1, 1000, MIB, 3 * MIB, 100 * MIB]),
        st.booleans(),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(OPERATIONS, st.sampled_from([1, 4 * MIB, 64 * MIB]), st.integers(1, 4))
def test_the_books_are_right_at_any_time_and_empty_at_the_end(
    operations: Sequence[tuple[str, int, int, bool]], most: int, per_host: int
) -> None:
    asyncio.run(_story(operations, Flight(most, per_host), per_host))


async def _story(operations: Sequence[tuple[str, int, int, bool]], flight: Flight, per_host: int) -> None:
    downloads: list[Download] = []
    for operation, which, size, settled in operations:
        if operation == "begin":
            downloads.append(Download(flight, "abc"[which % 3]))
        elif downloads:
            _operate(downloads[which % len(downloads)], operation, size)
        if settled:
            await turns()
            assert not [host.name for host in flight._turns.values() if flight._may_begin(host)]
        _check(flight, downloads, per_host, settled=settled)
    await ended(*downloads, *downloads)
    assert is_empty(flight)


def _operate(one: Download, operation: str, size: int) -> None:
    if operation == "cancel":
        one.task.cancel()
    elif operation == "end":
        one.end.set()
    elif one.place and operation == "expect":
        one.place.expect(size)
        one.place.learn()
    elif one.place:
        one.place.grow(size)


def _check(flight: Flight, downloads: Sequence[Download], per_host: int, *, settled: bool) -> None:
    hosts = flight._hosts.values()
    assert flight.bytes == sum(min(host.bytes, flight._share) for host in hosts)
    assert all(0 <= host.downloads <= per_host for host in hosts)
    under_way = [one for one in downloads if one.begun and not one.task.done()]
    if settled:
        assert flight.downloads == len(under_way)
        assert flight.waiting == len([one for one in downloads if not one.begun and not one.task.done()])
        for host in hosts:
            sizes = [one.place._size for one in under_way if one.place and one.host == host.name]
            assert host.bytes == sum(sizes)


async def test_what_is_told_of_it_says_who_waits_for_bytes_and_who_for_his_host() -> None:
    flight = Flight(8 * MIB, PER_HOST)
    downloads, _ = await begun(flight, "aaaaab", MIB)
    assert flight.waiting_for() == (0, 2)
    assert flight.levels()["downloads"] == 4
    assert (flight.levels()["bytes"], flight.levels()["bytes_most"]) == (4 * MIB, 8 * MIB)
    more, _ = await begun(flight, "cc", 4 * MIB)
    assert flight.waiting_for() == (3, 0), "by then it is the bytes that all of them wait for"
    await ended(*downloads, *more)
    assert (flight.waiting_for(), flight.levels()["bytes"]) == ((0, 0), 0)


async def test_an_origin_is_waited_for_only_while_it_is() -> None:
    flight = Flight(8 * MIB, PER_HOST)
    with flight.place() as place:
        await place.take("a")
        assert flight.asking == 0
        with suppress(OSError), place.asking():
            assert flight.levels()["origin"] == 1
            raise OSError
        assert flight.asking == 0
