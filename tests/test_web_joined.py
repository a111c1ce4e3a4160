"""What is written in one turn of the loop leaves at once, in its order, and nothing is left behind."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from service.web.joined import Joined
from service.web.server import DeadlineProtocol
from tests.serving import callback, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
NOTHING = b"GET /webhooks/nobody HTTP/1.1\r\nHost: x\r\n\r\n"


class Noted(asyncio.Transport):
    """What was done to it, in order."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.1", 5)})
        self.done: list[object] = []

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.done.append(bytes(data))

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def is_closing(self) -> bool:
        return "close" in self.done


def joined() -> tuple[Joined, list[object]]:
    transport = Noted()
    return Joined(transport, asyncio.get_running_loop()), transport.done


async def test_the_writes_of_one_turn_leave_as_one_at_its_end() -> None:
    transport, done = joined()
    transport.write(b"head")
    transport.write(b"body")
    assert done == []
    await asyncio.sleep(0)
    assert done == [b"headbody"]
    await asyncio.sleep(0)
    assert done == [b"headbody"]


async def test_what_is_written_later_leaves_later() -> None:
    transport, done = joined()
    for data in (b"a", b"b"):
        transport.write(data)
        await asyncio.sleep(0)
    assert done == [b"a", b"b"]


async def test_closing_sends_first_what_is_held_and_nothing_after() -> None:
    transport, done = joined()
    transport.write(b"answer")
    transport.write(b"refusal")
    transport.close()
    assert done == [b"answerrefusal", "close"]
    await asyncio.sleep(0)
    assert done == [b"answerrefusal", "close"]


async def test_aborting_drops_what_is_held() -> None:
    transport, done = joined()
    transport.write(b"answer")
    transport.abort()
    await asyncio.sleep(0)
    assert done == ["abort"]


async def test_all_else_is_the_transports_own_affair() -> None:
    transport, _ = joined()
    assert transport.get_extra_info("peername") == ("10.0.0.1", 5)
    assert not transport.is_closing()
    transport.close()
    assert transport.is_closing()


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Joined, asyncio.StreamReader]]:
    """A joined transport on a real socket, and what its peer reads."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    reader, writer = await asyncio.open_connection(sock=theirs)
    yield Joined(transport, loop), reader
    transport.close()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_on_a_socket_all_that_was_written_before_closing_arrives() -> None:
    async with pair() as (transport, reader):
        transport.write(b"head")
        await asyncio.sleep(0)
        for _ in range(1000):
            transport.write(bytes(1000))
        transport.close()
        async with asyncio.timeout(5):
            assert await reader.read() == b"head" + bytes(1_000_000)


async def test_on_a_socket_nothing_arrives_of_what_was_aborted() -> None:
    async with pair() as (transport, reader):
        transport.write(b"answer")
        transport.abort()
        async with asyncio.timeout(5):
            assert await reader.read() == b""


class Watched(DeadlineProtocol):
    """Notes each write that leads to a system call."""

    written: ClassVar[list[bytes]]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
        write = transport.write

        def noted(data: bytes) -> None:
            self.written.append(data)
            write(data)

        transport.write = noted  # type: ignore[assignment, method-assign]  # its only use
        super().connection_made(transport)


async def test_an_answers_head_and_body_leave_together(redis_url: str) -> None:
    class Mine(Watched):
        written: ClassVar[list[bytes]] = []

    async with serving(redis_url, protocol=Mine) as server:
        assert (await server.call_back(callback())).status_code == 200
        assert (await server.client.get("/livez")).status_code == 200
    assert len(Mine.written) == 2
    for answer, end in zip(Mine.written, (b'"new"}', b'"ok"}'), strict=True):
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(end)


async def test_answers_of_one_connection_keep_their_order(redis_url: str) -> None:
    async with serving(redis_url) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(LIVE + NOTHING + LIVE + NOTHING)
        received = b""
        async with asyncio.timeout(5):
            while received.count(b"HTTP/1.1 ") < 4:
                received += await reader.read(65_536)
        writer.close()
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200", b"404"]


async def test_what_is_no_request_is_refused_behind_the_answer_before_it(redis_url: str) -> None:
    """Of a body that nobody wants: the 404 is out, or on its way, when the body turns out to be malformed."""
    head = b"POST /webhooks/nobody HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(redis_url) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head)
        async with asyncio.timeout(5):
            first = await reader.readuntil(b"}")
            writer.write(b"no chunk\r\n")
            rest = await reader.read()
        writer.close()
    assert first.startswith(b"HTTP/1.1 404 ")
    assert rest.startswith(b"HTTP/1.1 400 ")
    assert rest.count(b"HTTP/1.1 ") == 1
