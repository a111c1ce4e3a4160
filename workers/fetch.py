"""Downloads one output from a stranger: guarded, bounded in bytes and time, and checked for being whole."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin

import aiohttp

from service import failpoints
from service.errors import GiveUp, TryLater
from workers.guard import GuardRefused
from workers.patience import Patience
from workers.sniff import HEAD, UNKNOWN, FileType, Kind, ending_of, sniff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from workers.flight import Flight, Place
    from workers.guard import GuardedSession
    from workers.guard.spelling import Word

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 3
_GONE = (403, 404, 410)
_SILENT = "the origin was silent for too long"
_LIBRARY_ERRORS = (aiohttp.ClientError, OSError)


class OutputGone(TryLater):
    """403, 404 or 410; a CDN may say so for a moment before the file is everywhere."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the origin answered {status}")
        self.status = status


class OutputUnavailable(TryLater):
    """The origin failed, was silent, or broke the connection."""


class OutputBad(TryLater):
    """The origin answered, and what it sent is not a whole file."""

    def __init__(self, word: Literal["truncated", "encoded", "too_large", "empty"], message: str) -> None:
        super().__init__(message)
        self.word = word


class OutputRefused(GiveUp):
    """The guard said no; `word` is the output's error in the contract."""

    def __init__(self, word: Word, message: str) -> None:
        super().__init__(message)
        self.word = word


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes, and bytes per second. Time spent waiting for a place counts against none of them."""

    total: float
    idle: float
    """First byte and silence."""
    connect: float = 5.0
    floor: float = 10 * 1024
    floor_window: float = 30.0
    max_bytes: int | None = None
    """One cap over all kinds; None is `caps`."""
    caps: dict[Kind, int] = field(
        default_factory=lambda: {Kind.IMAGE: 64 * 1024**2, Kind.VIDEO: 1024**3, Kind.OTHER: 256 * 1024**2}
    )

    def cap(self, kind: Kind) -> int:
        return self.max_bytes if self.max_bytes is not None else self.caps.get(kind, self.caps[Kind.OTHER])


@asynccontextmanager
async def open_download(
    session: GuardedSession, url: str, limits: Limits, flight: Flight
) -> AsyncIterator[Download]:
    """Raises the outcomes above, here and while iterating."""
    with flight.place() as place:
        response, deadline = await _follow(session, url, limits, place)
        patience = Patience(limits.idle, deadline)
        try:
            _check_answer(response)
            async with patience:
                download = Download(response, limits, patience, place)
                await download.read_head()
                yield download
        except TimeoutError as error:
            if not patience.lost:
                raise
            raise OutputUnavailable(_SILENT) from error
        finally:
            # What is left unread is thrown away with the connection.
            response.close()


class Download:
    """One output on its way: look at `head` and `type`, then iterate once over all of it, `head` included."""

    def __init__(
        self, response: aiohttp.ClientResponse, limits: Limits, patience: Patience, place: Place
    ) -> None:
        self.head = b""
        self.type: FileType = UNKNOWN
        self.size_hint = _content_length(response)
        """Bytes the origin declared, None when it did not."""
        self._body = response.content
        self._limits = limits
        self._patience = patience
        self._place = place
        self._pace = Pace(limits.floor, limits.floor_window)
        self._received = 0
        self._handed_on = 0
        self._first = b""
        if self.size_hint is not None:
            place.expect(self.size_hint)

    @property
    def left(self) -> int:
        """Bytes that are known to come, or are here, and were not iterated over yet."""
        return max(self._received, self.size_hint or 0) - self._handed_on

    async def read_head(self) -> None:
        gathered = bytearray()
        while len(gathered) < HEAD and (chunk := await self._next()):
            gathered += chunk
        if not gathered:
            raise OutputBad("empty", "the origin sent no bytes")
        self._first = bytes(gathered)
        self.head = self._first[:HEAD]
        self.type = sniff(self.head)
        self._check_size(max(self._received, self.size_hint or 0))
        # Only now: a size that nobody would accept says nothing of the outputs to come.
        if self.size_hint is not None:
            self._place.learn()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        ending = ending_of(self.type) if self.size_hint is None else None
        chunk = self._first
        while chunk:
            if ending:
                ending.feed(chunk)
            yield chunk
            self._handed_on += len(chunk)
            await failpoints.reach("fetch.middle")
            chunk = await self._next()
            self._check_size(self._received)
        if ending and not ending.complete:
            raise OutputBad("truncated", f"the {self.type.extension} stops before its end")
        if self.size_hint is not None and self._received != self.size_hint:
            raise OutputBad("truncated", f"{self._received} bytes came of {self.size_hint}")
        if self.size_hint is None:
            self._place.expect(self._received)
            self._place.learn()

    async def _next(self) -> bytes:
        """The next chunk, b"" at the end. Only time spent waiting for the origin counts against its pace."""
        began = self._patience.wait()
        try:
            # Bytes that are already here are handed out without waiting, and so without a look at the clock.
            if began >= self._patience.deadline:
                raise OutputUnavailable(f"not finished within {self._limits.total:g} s")
            with self._place.asking():
                chunk = await self._body.readany()
        except _LIBRARY_ERRORS as error:
            raise _outcome(error) from error
        finally:
            # Also of a failure: while it is cleaned up after, nobody is waited for.
            waited = self._patience.heard() - began
        self._received += len(chunk)
        if self.size_hint is None:
            self._place.grow(self._received)
        if chunk and self._pace.too_slow(len(chunk), waited):
            raise OutputUnavailable(f"slower than {self._limits.floor:.0f} bytes per second")
        return chunk

    def _check_size(self, size: int) -> None:
        cap = self._limits.cap(self.type.kind)
        if size > cap:
            raise OutputBad(
                "too_large", f"more than {cap} bytes ({self.type.kind}, CATCHLIGHT_FETCH_MAX_BYTES)"
            )


class Pace:
    """Measures one window of waiting after the other against a floor in bytes per second."""

    def __init__(self, floor: float, window: float) -> None:
        self._floor = floor
        self._window = window
        self._bytes = 0
        self._waited = 0.0

    def too_slow(self, count: int, waited: float) -> bool:
        """`count` bytes came after `waited` seconds."""
        self._bytes += count
        self._waited += waited
        if self._waited < self._window:
            return False
        slow = self._bytes < self._floor * self._waited
        self._bytes, self._waited = 0, 0.0
        return slow


async def _follow(
    session: GuardedSession, url: str, limits: Limits, place: Place
) -> tuple[aiohttp.ClientResponse, float]:
    """The first answer that is not a redirect, and the deadline of all that comes of it."""
    deadline = asyncio.get_running_loop().time() + limits.total
    with _refusals_as_outputs(redirected=False):
        response, deadline = await _get(session, url, limits, deadline, place)
    for _ in range(_MOST_REDIRECTS):
        if response.status not in _REDIRECTS:
            return response, deadline
        with _refusals_as_outputs(redirected=True):
            url = _redirect_target(response, url)
            response, deadline = await _get(session, url, limits, deadline, place)
    if response.status in _REDIRECTS:
        response.close()
        raise OutputRefused("refused_redirect", f"more than {_MOST_REDIRECTS} redirects")
    return response, deadline


async def _get(
    session: GuardedSession, url: str, limits: Limits, deadline: float, place: Place
) -> tuple[aiohttp.ClientResponse, float]:
    deadline += await place.take(session.guard.check_url(url).host)
    latest = asyncio.get_running_loop().time() + limits.connect + limits.idle
    try:
        with place.asking():
            async with asyncio.timeout_at(min(latest, deadline)):
                return await session.get(url, connect=limits.connect), deadline
    except _LIBRARY_ERRORS as error:
        raise _outcome(error) from error


def _redirect_target(response: aiohttp.ClientResponse, url: str) -> str:
    response.close()
    if not (location := response.headers.get("Location", "")):
        raise GuardRefused("refused_redirect", "a redirect without a target")
    try:
        target = urljoin(url, location)
    except ValueError:
        raise GuardRefused("refused_redirect", "a redirect to something that is not a URL") from None
    if url.lower().startswith("https:") and not target.lower().startswith("https:"):
        raise GuardRefused("refused_redirect", "a redirect from https to something else")
    return target


def _check_answer(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status in _GONE:
        raise OutputGone(status)
    if status == HTTPStatus.NO_CONTENT:
        raise OutputBad("empty", "the origin answered 204")
    if status != HTTPStatus.OK:
        raise OutputUnavailable(f"the origin answered {status}")
    said = ",".join(response.headers.getall("Content-Encoding", ()))
    if {coding.strip().lower() for coding in said.split(",")} - {"", "identity"}:
        raise OutputBad("encoded", "the origin sent a content encoding that was not asked for")


def _content_length(response: aiohttp.ClientResponse) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


@contextmanager
def _refusals_as_outputs(*, redirected: bool) -> Iterator[None]:
    try:
        yield
    except GuardRefused as refused:
        word: Word = "refused_redirect" if redirected else refused.word
        text = f"redirect: {refused}" if redirected else str(refused)
        raise OutputRefused(word, text) from refused


def _outcome(error: Exception) -> OutputBad | OutputUnavailable:
    """A library's error, as what became of the output; it is only named: its text may hold the URL."""
    causes = list(_causes(error))
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return OutputUnavailable(_SILENT)
    # A reset is told apart from a close in good order in aiohttp's text only.
    if isinstance(error, aiohttp.ClientPayloadError) and "ConnectionReset" not in str(error):
        return OutputBad("truncated", "the origin closed before the declared end")
    return OutputUnavailable(f"the connection failed ({type(causes[-1]).__name__})")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
