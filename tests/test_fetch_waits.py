"""Downloads wait for each other before they ask: origins and deadlines see nothing of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from service.prediction import Disposition, Stage
from service.simulator.scenario import Scenario
from tests import origin
from tests.downloads import GUARD, LIMITS
from tests.workplace import dispositions, shop_of, until, workplace
from workers import process
from workers.fetch import open_download
from workers.flight import Flight
from workers.guard import Guard, GuardedSession

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

KIB = 1024
BODY = b"\xff\xd8\xff" + bytes(64 * KIB - 5) + b"\xff\xd9"
LOOPBACK = "127.0.0.1"


@dataclass
class Slow:
    """A script that sends all but the last bytes of every answer, and those when it is told to go on."""

    declared: bool = True
    now: int = 0
    most: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        length = f"Content-Length: {len(BODY)}\r\n" if self.declared else ""
        writer.write(f"HTTP/1.1 200 X\r\n{length}\r\n".encode() + BODY[:-100])
        await self.go_on.wait()
        self.now -= 1
        writer.write(BODY[-100:])
        await writer.drain()
        if not self.declared:
            writer.close()


async def fetched(
    url: str, flight: Flight, total: float = LIMITS.total, idle: float = 5, guard: Guard = GUARD
) -> int:
    """The number of bytes that came."""
    async with (
        GuardedSession(guard, connections=1) as session,
        open_download(session, url, replace(LIMITS, total=total, idle=idle), flight) as found,
    ):
        return sum([len(part) async for part in found])


async def test_bytes_beyond_the_bound_are_not_asked_for_until_there_is_room() -> None:
    slow, flight = Slow(), Flight(most=4 * len(BODY), per_host=99)
    async with origin.running({"/x": slow}) as server:
        downloads = [asyncio.create_task(fetched(server.url("/x"), flight)) for _ in range(12)]
        await until(lambda: slow.now == 3 and flight.waiting == 9 and flight.bytes == 3 * len(BODY))
        assert (server.accepted, len(server.requests)) == (3, 3)
        slow.go_on.set()
        assert await asyncio.gather(*downloads) == [len(BODY)] * 12
    assert (slow.most, flight.bytes, flight.downloads) == (3, 0, 0)


async def test_what_comes_undeclared_counts_as_it_comes() -> None:
    slow, flight = Slow(declared=False), Flight(most=1 << 30, per_host=99)
    flight._mean = 1000
    async with origin.running({"/x": slow}) as server:
        download = asyncio.create_task(fetched(server.url("/x"), flight))
        await until(lambda: flight.bytes == len(BODY) - 100)
        assert flight.guess == 1000
        slow.go_on.set()
        assert await download == len(BODY)
    assert flight.bytes == 0
    assert flight.guess == 1000 + (len(BODY) - 1000) // 10


async def test_a_size_that_is_refused_teaches_nothing() -> None:
    flight = Flight(most=1 << 30, per_host=99)
    lie = origin.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", BODY)
    async with origin.running({"/x": lie}) as server:
        with pytest.raises(Exception, match="FETCH_MAX_BYTES"):
            await fetched(server.url("/x"), flight)
    assert (flight.bytes, flight.guess) == (0, Flight(1, 1).guess)


async def test_the_time_spent_waiting_is_no_part_of_the_deadline() -> None:
    flight, total = Flight(most=1 << 30, per_host=1), 0.5
    loop = asyncio.get_running_loop()
    async with origin.running({"/x": origin.answer(BODY)}) as server:
        with flight.place() as place:
            await place.take(LOOPBACK)
            began = loop.time()
            download = asyncio.create_task(fetched(server.url("/x"), flight, total))
            await until(lambda: loop.time() > began + total + 0.1)
            assert (flight.waiting, server.accepted, download.done()) == (1, 0, False)
        assert await download == len(BODY)


async def test_a_stop_while_waiting_leaves_nothing_behind() -> None:
    flight = Flight(most=1 << 30, per_host=1)
    async with origin.running({"/x": origin.answer(BODY)}) as server:
        with flight.place() as place:
            await place.take(LOOPBACK)
            download = asyncio.create_task(fetched(server.url("/x"), flight))
            await until(lambda: flight.waiting)
            download.cancel()
            with pytest.raises(asyncio.CancelledError):
                await download
        assert (server.accepted, flight.waiting, flight.downloads) == (0, 0, 0)
        assert await fetched(server.url("/x"), flight) == len(BODY)


async def test_a_redirect_waits_for_the_host_that_it_leads_to() -> None:
    flight, second = Flight(most=1 << 30, per_host=1), "127.0.0.2"
    guard = Guard(hosts=(LOOPBACK, second), private=(ip_network("127.0.0.0/8"),))
    async with (
        origin.running({"/x": origin.answer(BODY)}, second) as there,
        origin.running({"/x": origin.redirect(f"http://{second}:{there.port}/x")}) as here,
    ):
        with flight.place() as place:
            await place.take(second)
            download = asyncio.create_task(fetched(here.url("/x"), flight, guard=guard))
            await until(lambda: flight.waiting)
            assert (there.accepted, flight.downloads) == (0, 1)
        assert await download == len(BODY)
    assert flight.downloads == 0


async def test_outputs_of_one_prediction_wait_for_each_other_and_it_costs_no_try(
    redis_url: str, tmp_path: Path
) -> None:
    slow = Slow()
    async with (
        workplace(redis_url, tmp_path, fetch_per_host="1", fetch_idle="15s") as place,
        shop_of(place) as shop,
        origin.running({"/x": slow}) as cdn,
    ):
        said = place.payload(Scenario.CLEAN, outputs=[cdn.url("/x")] * 3, has_nsfw_contents=[False] * 3)
        ref = await place.complete(said)
        working = asyncio.create_task(process.process(shop, ref))
        await until(lambda: slow.now == 1 and shop.flight.waiting == 2)
        slow.go_on.set()
        await working
        ended = await place.prediction(ref)
        assert (ended["stage"], ended["attempts"], ended["error"]) == (Stage.DONE, 1, None)
        assert dispositions(ended) == [Disposition.STORED] * 3
        assert not any("failed" in line["detail"] for line in ended["timeline"])
        assert (slow.most, shop.flight.downloads) == (1, 0)


async def test_work_that_is_stopped_while_it_waits_is_handed_back(redis_url: str, tmp_path: Path) -> None:
    async with workplace(redis_url, tmp_path, fetch_per_host="1") as place, shop_of(place) as shop:
        ref = await place.complete(place.payload(Scenario.CLEAN))
        with shop.flight.place() as taken:
            await taken.take(LOOPBACK)
            working = asyncio.create_task(process.process(shop, ref))
            await until(lambda: shop.flight.waiting)
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
        assert (shop.flight.waiting, shop.flight.downloads) == (0, 0)
        assert await place.stage(ref) == Stage.ACCEPTED
        assert (await place.worked(shop, ref))["stage"] == Stage.DONE
