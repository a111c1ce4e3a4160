"""Origins that never end, or lie, each at full speed: an outcome in bounded time and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import origin
from tests.faults.backstage import Backstage
from tests.faults.downloader import downloader
from tests.origin import drip, flood, raw
from tests.resident import MIB
from workers.fetch import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.downloader import Downloader
    from tests.origin import Origin, Script

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
JPEG = b"\xff\xd8\xff" + bytes(100_000) + b"\xff\xd9"

CONNECT, IDLE, TOTAL = 0.4, 0.4, 2.5
"""Seconds; the real ones are 5, 15 and 600."""
CAP = 64 * MIB
MOST = 16 * MIB
MARGIN = 2.0
"""Seconds that a busy machine may add to a limit."""

HEADS: dict[str, Script] = {
    "100,000 headers": raw(OK + b"X: y\r\n" * 100_000 + b"Content-Length: 1\r\n\r\nx"),
    "100,000 names": raw(OK + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n"),
    "a header of 10 MB": raw(OK + b"X: " + b"y" * 10_000_000 + b"\r\nContent-Length: 1\r\n\r\nx"),
    "endless headers": flood(b"X: y\r\n" * 10_000, OK),
    "an endless header": flood(b"y" * 65_536, OK + b"X: "),
    "an endless name": flood(b"y" * 65_536, OK),
    "an endless status line": flood(b"x" * 65_536, b"HTTP/1.1 200 "),
    "an endless version": flood(b"1" * 65_536, b"HTTP/1."),
    "no status line": flood(b"x" * 65_536),
    "nothing but line ends": flood(b"\r\n" * 30_000),
    "a storm of 100": flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000),
    "a storm of 102": flood(b"HTTP/1.1 102 Processing\r\n\r\n" * 2_000),
    "a storm of 103": flood(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 2_000),
    "a chunk of no size": raw(CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n"),
    "a chunk of negative size": raw(CHUNKED + b"-5\r\nabc\r\n0\r\n\r\n"),
    "a chunk larger than numbers are": raw(CHUNKED + b"f" * 18 + b"\r\nabc\r\n0\r\n\r\n"),
    "an endless chunk size": flood(b"0" * 65_536, CHUNKED),
    "an endless chunk extension": flood(b"x" * 65_536, CHUNKED + b"5;"),
    "endless trailers": flood(b"X: y\r\n" * 10_000, CHUNKED + b"5\r\nabcde\r\n0\r\n"),
    "an endless trailer": flood(b"y" * 65_536, CHUNKED + b"5\r\nabcde\r\n0\r\nX: "),
    "less declared than comes": raw(OK + b"Content-Length: 50000\r\n\r\n" + JPEG),
    "chunks of one byte": flood(b"1\r\na\r\n" * 10_000, CHUNKED),
    "a trickle": drip(b"a", 0.1, 1_000, OK + b"\r\n"),
    "a trickle of head": drip(b"a", 0.1, 1_000, OK),
}
"""All of them are `unavailable`: what came is not even an answer, or it came too slowly. (With trailers, also
`truncated`.)"""
BODIES: dict[str, tuple[Script, str]] = {
    "endless": (flood(b"a" * 65_536, OK + b"\r\n"), "too_large"),
    "endless in chunks": (flood(b"10000\r\n" + bytes(65_536) + b"\r\n", CHUNKED), "too_large"),
    "a chunk of 8 EiB": (flood(bytes(65_536), CHUNKED + b"7fffffffffffffff\r\n"), "too_large"),
    "a terabyte declared": (flood(bytes(65_536), OK + b"Content-Length: 1000000000000\r\n\r\n"), "too_large"),
    "more declared than comes": (raw(OK + b"Content-Length: 200000\r\n\r\n" + JPEG), "truncated"),
    "answers nobody asked for": (flood((OK + b"Content-Length: 0\r\n\r\n") * 1_000), "empty"),
}


def path(name: str) -> str:
    return "/" + "".join(letter if letter.isalnum() else "-" for letter in name)


@pytest.fixture(scope="module")
def cdn() -> Iterator[Origin]:
    scripts = {path(name): script for name, script in HEADS.items()}
    scripts |= {path(name): script for name, (script, _) in BODIES.items()}
    scripts |= {
        "/small": origin.answer(JPEG),
        "/1-byte-per-second-of-body": drip(b"a", 1, 1_000, OK + b"\r\n"),
        "/1-byte-per-second-of-head": drip(b"a", 1, 1_000, OK),
    }
    with Backstage() as backstage:
        yield backstage.enter(origin.running(scripts))


@pytest.fixture(scope="module")
def child(cdn: Origin) -> Iterator[Downloader]:
    with downloader(cdn.url("/small")) as started:
        yield started


@pytest.mark.parametrize("name", HEADS)
def test_what_is_no_answer_is_given_up_soon(cdn: Origin, child: Downloader, name: str) -> None:
    cost = child.download(
        cdn.url(path(name)),
        connect=CONNECT, idle=IDLE, total=TOTAL, max_bytes=CAP, floor=100, floor_window=1,
    )  # fmt: skip
    # What follows a body is found wrong before the body was read, or while it is.
    words = {"OutputUnavailable", "truncated"} if "trailer" in name else {"OutputUnavailable"}
    assert cost.word in words
    assert cost.seconds < TOTAL + MARGIN
    assert cost.rise < MOST


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_what_it_says_is_bad(cdn: Origin, child: Downloader, name: str) -> None:
    cost = child.download(cdn.url(path(name)), connect=CONNECT, idle=IDLE, total=60, max_bytes=CAP)
    assert cost.word == BODIES[name][1]
    assert cost.rise < MOST


@pytest.mark.parametrize(("name", "most"), [("body", 30.0), ("head", 20.0)])
def test_one_byte_a_second_ends_within_the_real_limits(
    cdn: Origin, child: Downloader, name: str, most: float, long: bool
) -> None:
    """The floor is measured over 30 s; a head has 5 s to connect and 15 s to begin."""
    if not long:
        pytest.skip("takes most of a minute: --faults=long")
    real = Limits(total=600, idle=15)
    cost = child.download(cdn.url(f"/1-byte-per-second-of-{name}"), idle=real.idle, total=real.total)
    assert cost.word == "OutputUnavailable"
    assert cost.seconds < most + MARGIN
