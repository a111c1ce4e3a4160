"""Measures how busy its process is: four short looks a second, and sums that are compared with older ones."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter, defaultdict, deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from service.effort.told import HOOK, TURNED_BY_PLACES, TURNED_BY_RATE, Effort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LOOK_EVERY = 0.25
NOW, MINUTE = 15.0, 60.0
"""Seconds: shares and means are of the last so many, and what is counted of so many."""
_LEAST = 1.0
"""Seconds below which nothing is told: one job more or less would be a peak."""
_TELL_MOST = 5
"""Of each of what is counted by the name of a hook: a beat is a short thing."""
_BY_NAME = (HOOK, TURNED_BY_RATE, TURNED_BY_PLACES)
_SCHEDULED = Path("/proc/thread-self/schedstat")


class _Sums(NamedTuple):
    at: float
    cpu: float
    loop: float
    waited: float
    looks: int
    lag: float
    means: Mapping[str, float]
    counts: Mapping[str, float]


class Meter:
    """`told` is of the thread that it is called in, which has to be the loop's."""

    def __init__(self) -> None:
        self._watched: list[Callable[[], Mapping[str, float]]] = []
        self._inside: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._lag = 0.0
        self._looks = 0
        self._before: deque[_Sums] = deque()

    def watch(self, levels: Callable[[], Mapping[str, float]]) -> None:
        """Asked at every look: how many there are of each thing just now."""
        self._watched.append(levels)

    def count(self, name: str, n: int = 1) -> None:
        self._counts[name] += n

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """One more of them while the block lasts."""
        self._inside[name] += 1
        try:
            yield
        finally:
            self._inside[name] -= 1

    async def keep_looking(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        self._before.append(self._summed())
        while True:
            due = clock() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)
            self._look(max(0.0, clock() - due))

    def told(self) -> Effort | None:
        """None at the very beginning."""
        now = self._summed()
        while len(self._before) > 1 and now.at - self._before[1].at >= MINUTE:
            self._before.popleft()
        if not self._before or now.at - self._before[0].at < _LEAST:
            return None
        first, before = self._before[0], self._since(now.at - NOW)
        self._before.append(now)
        seconds, looks = now.at - before.at, max(1, now.looks - before.looks)
        return Effort(
            seconds,
            now.at - first.at,
            cpu=(now.cpu - before.cpu) / seconds,
            loop=(now.loop - before.loop) / seconds,
            starved=(now.waited - before.waited) / seconds,
            lag=(now.lag - before.lag) / looks,
            means=_short(_per(now.means, before.means, looks)),
            rates=_short(_per(now.counts, first.counts, now.at - first.at)),
        )

    def _since(self, instant: float) -> _Sums:
        """The latest that is not later; the oldest, when all are."""
        older = [one for one in self._before if one.at <= instant]
        return older[-1] if older else self._before[0]

    def _look(self, lag: float) -> None:
        self._looks += 1
        self._lag += lag
        for levels in (self._inside, *(ask() for ask in self._watched)):
            for name, level in levels.items():
                self._sums[name] += level

    def _summed(self) -> _Sums:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return _Sums(
            time.monotonic(),
            used.ru_utime + used.ru_stime,
            time.thread_time(),
            _waited(),
            self._looks,
            self._lag,
            dict(self._sums),
            dict(self._counts),
        )


def _per(now: Mapping[str, float], before: Mapping[str, float], n: float) -> dict[str, float]:
    added = ((name, (total - before.get(name, 0)) / n) for name, total in now.items())
    return {name: amount for name, amount in added if amount}


def _short(amounts: Mapping[str, float]) -> dict[str, float]:
    """All of them, and of those by name the largest."""
    kept = {name: amount for name, amount in amounts.items() if not name.startswith(_BY_NAME)}
    for prefix in _BY_NAME:
        named = [(amount, name) for name, amount in amounts.items() if name.startswith(prefix)]
        kept |= {name: amount for amount, name in sorted(named, reverse=True)[:_TELL_MOST]}
    return kept


def _waited() -> float:
    """Seconds that this thread has waited for a core; 0 where the system does not say."""
    try:
        return int(_SCHEDULED.read_text("ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
