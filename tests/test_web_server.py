"""The server around the application: deadlines, limits, start, drain and latency."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import pytest

from service.web.server import DeadlineProtocol
from tests.serving import PATH, callback, serving, sign, stored
from tests.strangers import exchange

if TYPE_CHECKING:
    from tests.serving import Served

anyio = pytest.mark.anyio
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode()


class Hasty(DeadlineProtocol):
    header_deadline = 0.3


class Looked(DeadlineProtocol):
    delayed: ClassVar[list[bool]] = []
    """Of each connection, whether the kernel may hold a short answer back."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its base has it
        made = transport.get_extra_info("socket")
        self.delayed.append(not made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        super().connection_made(transport)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def dripped(server: Served, start: bytes, drop: bytes, most: float = 5) -> tuple[bytes, float]:
    """What comes back for a start and then drop after drop, and after how many seconds the end came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    began = time.monotonic()

    async def drip() -> None:
        while True:
            writer.write(drop)
            await asyncio.sleep(0.05)

    writer.write(start)
    dripping = asyncio.create_task(drip())
    answer = b""
    # In pieces: a drop that meets the closed end is answered by a reset, behind what came back.
    with suppress(ConnectionError):
        async with asyncio.timeout(most):
            while piece := await reader.read(65_536):
                answer += piece
    dripping.cancel()
    writer.close()
    return answer, time.monotonic() - began


@anyio
@pytest.mark.parametrize("start", [b"", b"POST", HEAD, HEAD + b"webhook-id: x"])
async def test_a_header_that_stalls_ends_the_connection(redis_url: str, start: bytes) -> None:
    async with serving(redis_url, protocol=Hasty) as server:
        began = time.monotonic()
        assert await server.raw(start) == b""
    assert time.monotonic() - began < 3


@anyio
async def test_a_header_that_drips_ends_the_connection(redis_url: str) -> None:
    async with serving(redis_url, protocol=Hasty) as server:
        answer, took = await dripped(server, HEAD, b"a: b\r\n")
    assert answer == b""
    assert took < 3


@anyio
async def test_the_next_header_on_a_connection_has_the_same_deadline(redis_url: str) -> None:
    live = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(redis_url, protocol=Hasty) as server:
        answer, took = await dripped(server, live + b"GET /li", b"v")
    assert answer.count(b"HTTP/1.1 200") == 1
    assert took < 3


@anyio
async def test_a_connection_that_rests_between_requests_is_kept(redis_url: str) -> None:
    async with serving(redis_url, protocol=Hasty) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(2):
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in await reader.readuntil(b'"ok"}')
            await asyncio.sleep(2 * Hasty.header_deadline)
        writer.close()


@anyio
@pytest.mark.parametrize("drop", [b"", b"x"])
async def test_a_body_that_stalls_or_drips_ends_the_connection(redis_url: str, drop: bytes) -> None:
    async with serving(redis_url, body_deadline=0.3) as server:
        answer, took = await dripped(server, HEAD + b"Content-Length: 1000\r\n\r\n{", drop)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["reason"] == "too_slow"
    assert took < 3


@anyio
async def test_a_body_that_nobody_wants_may_not_drip_for_ever(redis_url: str) -> None:
    start = b"POST /webhooks/nobody HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    async with serving(redis_url, protocol=Hasty) as server:
        answer, took = await dripped(server, start, b"x")
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert took < 3


@anyio
async def test_a_header_may_not_grow_for_ever(redis_url: str) -> None:
    async with serving(redis_url) as server:
        answer, took = await dripped(server, HEAD, b"a: " + b"b" * 20_000)
    assert answer == b""
    assert took < 3


@anyio
@pytest.mark.parametrize(
    "drop",
    [b"a: " + b"b" * 1000 + b"\r\n", b"b" * 20_000],
    ids=["many", "one"],
)
async def test_a_trailer_ends_the_connection_before_it_fills_the_memory(redis_url: str, drop: bytes) -> None:
    start = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\na: b"
    async with serving(redis_url) as server:
        _, took = await dripped(server, start, drop)
        assert (await server.client.get("/livez")).status_code == 200
    assert took < 3


@anyio
async def test_what_comes_behind_a_body_is_no_header(redis_url: str) -> None:
    """A proxy drops trailers or does not look at them: neither a signature nor an encoding may hide there."""
    body = callback()
    signed = "".join(f"{name}: {value}\r\n" for name, value in sign(body).items()).encode()
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n" % (len(body), body)
    async with serving(redis_url) as server:
        for trailers in (signed, b"Content-Length: abc\r\n", b"Content-Encoding: gzip\r\n"):
            assert (await server.raw(chunked + trailers + b"\r\n")).startswith(b"HTTP/1.1 400 ")
        assert stored(redis_url, "pred_1") == {}


@anyio
async def test_a_chunks_extension_may_not_grow_for_ever(redis_url: str) -> None:
    async with serving(redis_url) as server:
        start = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;a="
        answer, took = await dripped(server, start, b"b" * 20_000)
    assert answer == b""
    assert took < 3


@anyio
async def test_what_begins_no_request_keeps_no_connection_open(redis_url: str) -> None:
    """At the first byte uvicorn waits no longer for a request, and a line's end alone begins none."""
    live = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(redis_url, protocol=Hasty) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(live)
        await reader.readuntil(b'"ok"}')
        writer.write(b"\r\n")
        assert await asyncio.wait_for(reader.read(), 3) == b""
        writer.close()
        answer, took = await dripped(server, live, b"\r\n")
    assert answer.count(b"HTTP/1.1 200") == 1
    assert took < 3


@anyio
async def test_requests_that_wait_for_no_answer_do_not_pile_up(redis_url: str) -> None:
    live = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    most = DeadlineProtocol.pipeline_most
    async with serving(redis_url) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(live * most)
        for _ in range(most):
            assert b"200 OK" in await reader.readuntil(b'"ok"}')
        writer.write(live * (most + 2))
        assert (await asyncio.wait_for(reader.read(), 3)).startswith(b"HTTP/1.1 400 ")
        writer.close()
        began = time.monotonic()
        answer = await exchange(server.port, live * 50_000)
    assert answer.count(b"HTTP/1.1 200") <= most
    assert time.monotonic() - began < 3


@anyio
async def test_who_does_not_read_his_answers_is_not_waited_for(redis_url: str) -> None:
    class Narrow(DeadlineProtocol):
        """The kernel keeps little for a connection of it."""

        answer_deadline = 0.3

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            super().connection_made(transport)

    async with serving(redis_url, protocol=Narrow) as server:
        loop = asyncio.get_running_loop()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await loop.sock_connect(deaf, ("127.0.0.1", server.port))
            await loop.sock_sendall(deaf, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30)
            began = time.monotonic()
            with suppress(ConnectionError):
                while time.monotonic() - began < 5:
                    await loop.sock_sendall(deaf, b"\r\n")
                    await asyncio.sleep(0.05)
            assert time.monotonic() - began < 3


@anyio
async def test_an_answer_that_is_read_slowly_is_read_whole(redis_url: str) -> None:
    async with serving(redis_url) as server:
        whole = (await server.client.get("/openapi.json")).content
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=4096)
        writer.write(request * 30)
        received = b""
        while received.count(whole) < 30:
            received += await asyncio.wait_for(reader.read(4096), 5)
        writer.close()


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"


@anyio
async def test_who_offers_another_protocol_is_answered_in_this_one(redis_url: str) -> None:
    """As some clients do with every first request; the next one needs a connection of its own."""
    async with serving(redis_url) as server:
        answer = await server.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer


@anyio
async def test_a_callback_that_offers_another_protocol_is_malformed_not_forged(redis_url: str) -> None:
    """The parser gives its body away, and without it the signature would be called wrong."""
    body = callback()
    signed = "".join(f"{name}: {value}\r\n" for name, value in sign(body).items()).encode()
    head = HEAD + signed + UPGRADE
    async with serving(redis_url) as server:
        for request in (
            head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
            head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        ):
            assert (await server.raw(request)).startswith(b"HTTP/1.1 400 ")


@anyio
async def test_a_connection_too_many_is_closed_and_the_others_go_on(redis_url: str) -> None:
    class Few(DeadlineProtocol):
        connections_most = 2

    async with serving(redis_url, protocol=Few) as server:
        assert (await server.call_back(callback())).status_code == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        with suppress(ConnectionError):
            assert await server.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n") == b""
        assert (await server.call_back(callback())).status_code == 200
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b'"ok"}')
        writer.close()


@anyio
@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 0x5\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD.replace(b"\r\n", b"\n") + b"\n",
        HEAD + b"a: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"a : b\r\n\r\n",
        HEAD + b"a\x00b: c\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_malformed_http_is_refused_and_the_connection_closed(redis_url: str, request_: bytes) -> None:
    async with serving(redis_url) as server:
        assert (await server.raw(request_)).startswith(b"HTTP/1.1 400 ")
        assert (await server.client.get("/livez")).status_code == 200


@anyio
async def test_a_lone_callback_does_not_wait_for_the_kernel(redis_url: str) -> None:
    """Without TCP_NODELAY an answer takes the 40 ms of a delayed acknowledgement."""
    async with serving(redis_url, protocol=Looked) as server:
        assert (await server.call_back(callback())).status_code == 200
    assert Looked.delayed == [False]
