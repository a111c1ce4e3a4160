"""Downloads from an origin that misbehaves in every way we know: each ends in its named outcome."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests import origin
from tests.downloads import FLIGHT, GUARD, LIMITS, download, outcome, word
from tests.origin import answer, drip, raw, reset
from workers.fetch import (
    Limits,
    OutputGone,
    OutputUnavailable,
    Pace,
    open_download,
)
from workers.guard import GuardedSession
from workers.sniff import HEAD, UNKNOWN, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.origin import Origin, Script

OK = b"HTTP/1.1 200 OK\r\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", bytes(200_000)) + chunk(b"IEND", b"")
TEXT = b"a line of text\n" * 20_000
MP4 = b"\x00\x00\x00\x10ftypisom\x00\x00\x02\x00\x00\x00\x00\x08moov\x00\x00\x10\x08mdat" + bytes(4096)


@pytest.mark.parametrize(
    "script",
    [
        answer(PNG),
        answer(PNG, length=False),
        answer(PNG, headers="Content-Encoding: identity\r\nContent-Type: text/html\r\n"),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(PNG), PNG)),
        raw(b"HTTP/1.0 200 OK\r\n\r\n", PNG),
        raw(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n"
            + OK
            + b"Content-Length: %d\r\n\r\n" % len(PNG),
            PNG,
        ),
    ],
    ids=["length", "until-close", "identity", "chunked", "http/1.0", "after-1xx"],
)
def test_a_whole_file_arrives_byte_for_byte(script: Script) -> None:
    assert outcome(script) == PNG


def test_the_head_and_the_type_are_known_before_the_rest_is_read() -> None:
    async def story() -> None:
        async with (
            origin.running({"/x": answer(PNG), "/y": answer(b"\x00?")}) as server,
            GuardedSession(GUARD, connections=4) as session,
        ):
            async with open_download(session, server.url("/x"), LIMITS, FLIGHT) as found:
                assert found.head == PNG[:HEAD]
                assert (found.type.extension, found.size_hint) == ("png", len(PNG))
            async with open_download(session, server.url("/y"), LIMITS, FLIGHT) as found:
                assert (found.head, found.type) == (b"\x00?", UNKNOWN)

    asyncio.run(story())


def test_the_request_carries_no_credentials_and_no_encodings() -> None:
    async def story() -> Origin:
        async with origin.running({"/x?sig=a%2Bb": answer(b"x")}) as server:
            await download(server.url("/x?sig=a%2Bb"))
            return server

    head = asyncio.run(story()).requests[0].lower()
    assert head.startswith("get /x?sig=a%2bb http/1.1\r\n")
    assert "accept-encoding: identity\r\n" in head
    assert not {"authorization", "cookie", "referer"} & {line.split(":")[0] for line in head.splitlines()}


@pytest.mark.parametrize("status", [403, 404, 410])
def test_gone_is_an_outcome_of_its_own(status: int) -> None:
    found = outcome(answer(b"<html>no</html>", status))
    assert isinstance(found, OutputGone)
    assert found.status == status


@pytest.mark.parametrize(
    "status", [201, 206, 300, 304, 305, 400, 401, 408, 418, 429, 500, 502, 503, 504, 599]
)
def test_any_other_status_may_work_later(status: int) -> None:
    assert isinstance(outcome(answer(b"x" if status != 304 else b"", status)), OutputUnavailable)


@pytest.mark.parametrize(
    "script",
    [
        raw(),
        raw(b"HTTP/1.1 200"),
        raw(b"nonsense\r\n\r\n"),
        raw(b"SSH-2.0-x\r\n"),
        raw(b"\x16\x03\x01" + bytes(200)),
        raw(b"HTTP/1.1 9999 X\r\n\r\n"),
        raw(OK + b"Content-Length: -5\r\n\r\n", b"x"),
        raw(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", b"x" * 5),
        raw(OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n"),
        raw(OK + b"X: y\r\n" * 10_000 + b"\r\n"),
        raw(OK + b"no colon\r\n\r\n"),
        reset(),
        reset(OK),
        reset(OK + b"Content-Length: 100000\r\n\r\n", b"a" * 1000),
        reset(OK + b"Content-Length: 1000000\r\n\r\n", TEXT),
        drip(b"", 1, 1, head=b""),
        drip(b"", 1, 1, head=OK),
        drip(b"X: y\r\n", 0.05, 100, head=OK),
        drip(b"HTTP/1.1 100 X\r\n\r\n", 0.05, 200, head=b""),
        drip(b"", 1, 1, head=OK + b"Content-Length: 100\r\n\r\n"),
        drip(b"", 1, 1, head=OK + b"Content-Length: 400000\r\n\r\n" + TEXT),
        drip(b"1;x=y\r", 0.05, 200, head=OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    ],
)
def test_a_broken_or_silent_connection_may_work_later(script: Script) -> None:
    found = outcome(script, replace(LIMITS, connect=0.3))
    assert isinstance(found, OutputUnavailable)
    assert "127.0.0.1" not in str(found)


def test_a_refused_connection_may_work_later() -> None:
    async def story() -> None:
        async with origin.running() as server:
            pass
        with pytest.raises(OutputUnavailable):
            await download(server.url("/x"))

    asyncio.run(story())


@pytest.mark.parametrize(
    "script",
    [
        raw(OK + b"Content-Length: 100\r\n\r\n", b"only this"),
        raw(OK + b"Content-Length: %d\r\n\r\n" % (len(PNG) + 1), PNG),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(TEXT), TEXT)),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(PNG) - 1, PNG[:-1])),
        answer(PNG[:-1], length=False),
        answer(PNG[:100_000], length=False),
        answer(MP4[:-1], length=False),
    ],
)
def test_a_file_cut_short_is_truncated(script: Script) -> None:
    assert word(outcome(script)) == "truncated"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP", "x-unknown"])
def test_an_encoded_body_is_never_inflated(coding: str) -> None:
    found = outcome(answer(gzip.compress(bytes(10_000_000)), headers=f"Content-Encoding: {coding}\r\n"))
    assert word(found) == "encoded"


@pytest.mark.parametrize(
    "script",
    [
        answer(),
        answer(length=False),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        answer(status=204),
    ],
)
def test_an_answer_without_a_body_is_empty(script: Script) -> None:
    assert word(outcome(script)) == "empty"


@pytest.mark.parametrize(
    "limits", [replace(LIMITS, max_bytes=150_000), replace(LIMITS, caps={Kind.OTHER: 150_000})]
)
@pytest.mark.parametrize(
    "script",
    [
        answer(TEXT),
        answer(TEXT, length=False),
        raw(OK + b"Content-Length: 999999999999\r\n\r\n", TEXT),
        drip(TEXT, 0, 1_000_000),
    ],
    ids=["declared", "undeclared", "lie", "endless"],
)
def test_a_body_over_the_cap_is_given_up(script: Script, limits: Limits) -> None:
    assert word(outcome(script, limits)) == "too_large"


def test_the_cap_is_that_of_the_kind_of_file() -> None:
    small = replace(LIMITS, caps={Kind.IMAGE: len(PNG), Kind.OTHER: 10})
    assert outcome(answer(PNG), small) == PNG
    assert word(outcome(answer(TEXT), small)) == "too_large"
    assert Limits(total=1, idle=1).cap(Kind.VIDEO) == 1024**3
    assert Limits(total=1, idle=1).cap(Kind.AUDIO) == 256 * 1024**2


def test_an_endless_trickle_ends_at_the_total_deadline() -> None:
    found = outcome(drip(b"abc ", 0.02, 10_000), replace(LIMITS, total=0.3))
    assert isinstance(found, OutputUnavailable)


def test_a_trickle_below_the_floor_is_given_up_long_before_the_deadline() -> None:
    found = outcome(drip(b"abc ", 0.01, 10_000), replace(LIMITS, total=30, floor=10_000, floor_window=0.2))
    assert isinstance(found, OutputUnavailable)
    assert "slower" in str(found)


def test_a_slow_reader_is_not_held_against_the_origin() -> None:
    async def story() -> bytes:
        limits = replace(LIMITS, idle=0.1, floor=1_000_000, floor_window=0.05)
        async with (
            origin.running({"/x": answer(PNG)}) as server,
            GuardedSession(GUARD, connections=1) as session,
            open_download(session, server.url("/x"), limits, FLIGHT) as found,
        ):
            got = b""
            async for part in found:
                await asyncio.sleep(0.15 if not got else 0.01)
                got += part
            return got

    assert asyncio.run(story()) == PNG


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        ([(100, 9.9)], [False]),
        ([(100, 10)], [False]),
        ([(99, 10)], [True]),
        ([(0, 9), (100, 1), (0, 9), (99, 1)], [False, False, False, True]),
        ([(1_000_000, 1), (0, 9), (0, 9), (1, 1)], [False, False, False, True]),
    ],
)
def test_pace_is_measured_window_by_window(steps: Sequence[tuple[int, float]], verdicts: list[bool]) -> None:
    pace = Pace(floor=10, window=10)
    assert [pace.too_slow(count, waited) for count, waited in steps] == verdicts


def test_the_connection_of_a_download_that_was_given_up_is_closed() -> None:
    """So a pool of one serves the next download, however much the first had left to send."""

    async def story() -> bytes:
        async with (
            origin.running({"/x": drip(TEXT, 0, 1_000_000), "/y": answer(PNG)}) as server,
            GuardedSession(GUARD, connections=1) as session,
        ):
            for _ in range(3):
                async with open_download(session, server.url("/x"), LIMITS, FLIGHT):
                    pass
            async with open_download(session, server.url("/y"), LIMITS, FLIGHT) as found:
                return b"".join([part async for part in found])

    assert asyncio.run(story()) == PNG


def test_an_error_of_the_reader_passes_through_untouched() -> None:
    async def story() -> None:
        async with (
            origin.running({"/x": answer(PNG)}) as server,
            GuardedSession(GUARD, connections=1) as session,
            open_download(session, server.url("/x"), LIMITS, FLIGHT),
        ):
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        asyncio.run(story())
