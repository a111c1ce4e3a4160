"""What is on its way to this worker: so many bytes and, from one host, so many downloads; others wait.

They wait before they ask, so that no origin idles for us. How large an output is shows when it is answered:
until then it counts as what the latest ones were.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_GUESS = 1024**2
"""Bytes of an output before there was one."""
_WEIGHT = 0.1
"""Of the newest output in the mean: it follows a change of models within a dozen of them."""


@dataclass(slots=True, eq=False)
class _Host:
    name: str
    downloads: int = 0
    bytes: int = 0
    line: deque[asyncio.Future[int]] = field(default_factory=deque)
    """Each gets what was counted for it when its turn comes."""


class Flight:
    """At most `per_host` downloads from one host, and none begins when `most` bytes are on their way.

    Three quarters of `most` are the most that one host counts for: however large and slow what it sends is,
    the others go on. So the last to begin may exceed the bound, and what is larger than all of it passes too.
    Those of one host wait in the order in which they came, and hosts take turns.
    """

    def __init__(self, most: int, per_host: int) -> None:
        self._most = most
        self._share = max(1, most * 3 // 4)
        self._per_host = per_host
        self._mean = float(FIRST_GUESS)
        self._hosts: dict[str, _Host] = {}
        # Of hosts for which somebody waits; the one whose turn is next comes first.
        self._turns: OrderedDict[str, _Host] = OrderedDict()
        self.bytes = 0
        """On their way, of each host its share at most."""
        self.asking = 0
        """Downloads that wait for their origin just now: for its answer, or for more of it."""

    @property
    def guess(self) -> int:
        """Bytes that an output counts for until it is answered."""
        return int(self._mean)

    @property
    def downloads(self) -> int:
        return sum(host.downloads for host in self._hosts.values())

    @property
    def waiting(self) -> int:
        return sum(len(host.line) for host in self._turns.values())

    def levels(self) -> dict[str, float]:
        """What is said of it with every beat."""
        for_bytes, for_host = self.waiting_for()
        return {
            "downloads": self.downloads,
            "origin": self.asking,
            "bytes": self.bytes,
            "bytes_most": self._most,
            "for_bytes": for_bytes,
            "for_host": for_host,
        }

    def waiting_for(self) -> tuple[int, int]:
        """How many wait because too many bytes are on their way, and how many for others from their host."""
        for_bytes = for_host = 0
        for host in self._turns.values():
            if self.bytes >= self._most or host.bytes >= self._share:
                for_bytes += len(host.line)
            else:
                for_host += len(host.line)
        return for_bytes, for_host

    @contextmanager
    def place(self) -> Iterator[Place]:
        """For one download, which has to `take` it."""
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    async def begin(self, name: str) -> tuple[_Host, int]:
        """Of a place only, as all that follows: its host, and the bytes that it counts for."""
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(name)
        # Whoever waits cannot begin, else he would have: nobody is overtaken who could.
        if self._may_begin(host):
            return host, self._counted(host)
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        host.line.append(turn)
        self._turns.setdefault(name, host)
        try:
            return host, await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._step_out(host, turn)
            else:
                # His turn came in the same moment.
                self.end(host, turn.result())
            raise

    def add(self, host: _Host, more: int) -> None:
        """Bytes, negative when there are fewer than was thought."""
        self._book(host, more)
        self._call()

    def end(self, host: _Host, size: int) -> None:
        host.downloads -= 1
        self._book(host, -size)
        self._call()
        self._forget(host)

    def learn(self, size: int) -> None:
        self._mean += _WEIGHT * (size - self._mean)

    def _may_begin(self, host: _Host) -> bool:
        return self.bytes < self._most and host.bytes < self._share and host.downloads < self._per_host

    def _counted(self, host: _Host) -> int:
        guess = self.guess
        host.downloads += 1
        self._book(host, guess)
        return guess

    def _book(self, host: _Host, more: int) -> None:
        before = min(host.bytes, self._share)
        host.bytes += more
        self.bytes += min(host.bytes, self._share) - before

    def _call(self) -> None:
        """Everybody whose turn it is."""
        while host := next(filter(self._may_begin, self._turns.values()), None):
            turn = host.line.popleft()
            if host.line:
                self._turns.move_to_end(host.name)
            else:
                del self._turns[host.name]
            # Cancelled already, and about to step out.
            if not turn.done():
                turn.set_result(self._counted(host))

    def _step_out(self, host: _Host, turn: asyncio.Future[int]) -> None:
        if turn in host.line:
            host.line.remove(turn)
            if not host.line:
                del self._turns[host.name]
        self._forget(host)

    def _forget(self, host: _Host) -> None:
        # Whoever was cancelled steps out late, and by then another may bear that name.
        if not host.downloads and not host.line and self._hosts.get(host.name) is host:
            del self._hosts[host.name]


class Place:
    """One download's: nothing until it is taken, and then at one host after the other."""

    __slots__ = ("_flight", "_host", "_size")

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self._host: _Host | None = None
        self._size = 0

    async def take(self, name: str) -> float:
        """At that host, and no longer at another. Returns the seconds that it waited."""
        if self._host and self._host.name == name:
            return 0.0
        # Nobody waits for one host while he keeps a place at another.
        self.leave()
        clock = asyncio.get_running_loop().time
        began = clock()
        self._host, self._size = await self._flight.begin(name)
        return clock() - began

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While its origin is waited for."""
        self._flight.asking += 1
        try:
            yield
        finally:
            self._flight.asking -= 1

    def expect(self, size: int) -> None:
        """It is so many bytes, or says so."""
        self._count(size)

    def grow(self, received: int) -> None:
        """So many bytes came, and nobody said of how many."""
        if received > self._size:
            self._count(received)

    def learn(self) -> None:
        """What it counts for is what the next ones are thought to be."""
        self._flight.learn(self._size)

    def leave(self) -> None:
        host, self._host = self._host, None
        if host:
            self._flight.end(host, self._size)

    def _count(self, size: int) -> None:
        if self._host:
            self._flight.add(self._host, size - self._size)
            self._size = size
