"""One hook's gate in this process: how many attempts at once, how many a second, when to leave it alone.

Whoever is turned away gets a place in line, to come back when it is about his turn and not every second.
"""

from __future__ import annotations

from workers.pace import Pace

BREAKER_FAILURES = 20
BREAKER_SPAN = 60.0
"""Seconds over which that many failures in a row open the breaker."""

SLOW = 0.5
"""Seconds that an attempt takes on average; above it a hook gets one quarter of the places and not three."""

LEAST_WAIT = 0.5
"""Seconds; the sweeper does not look more often."""
LONGEST_WAIT = 60.0
_WEIGHT = 0.2
"""Of the newest attempt in the mean duration."""


class Gate:
    """Attempts that one hook may make in a worker of `concurrency` jobs: `rate` a second and `most` at once
    (None: any number).

    While the breaker is open, one attempt every `probe` seconds. `now` is of a clock that never goes back.
    """

    def __init__(self, concurrency: int, rate: float | None, probe: float, most: int | None = None) -> None:
        self._concurrency = concurrency
        self._most = most or concurrency
        self._pace = Pace(rate) if rate else None
        self._gap = 1 / rate if rate else 0.0
        self._probe = probe
        self._busy = 0
        self._mean: float | None = None
        self._line = 0.0
        self._failures = 0
        self._failing_since = 0.0
        self._probe_at = 0.0
        self.open = False
        """The breaker: the hook has failed for so long that it is only probed."""

    @property
    def places(self) -> int:
        """At once. A quick hook may have most of the worker, for it leaves soon; the rest is the others'."""
        quarters = 1 if (self._mean or 0) > SLOW else 3
        return min(self._most, max(1, self._concurrency * quarters // 4))

    @property
    def crowded(self) -> bool:
        """Whoever comes now is turned away for the attempts under way, and not for the rate."""
        return self._busy >= self.places

    def enter(self, now: float) -> float:
        """0: make the attempt, and `leave` after it; a probe, when the breaker is open. Else the seconds to
        come back after, or until the next probe.
        """
        if self.open and now < self._probe_at:
            return self._probe_at - now
        if self.crowded or (self._pace and self._pace.wait(now)):
            return self._in_line(now)
        if self.open:
            self._probe_at = now + self._probe
        if self._pace:
            self._pace.start(now)
        self._busy += 1
        return 0.0

    def leave(self, now: float, took: float, *, failed: bool, asked: float = 0.0) -> None:
        """After an attempt of `took` seconds; the hook asked to be left alone for `asked` seconds."""
        self._busy -= 1
        self._mean = took if self._mean is None else self._mean + _WEIGHT * (took - self._mean)
        if not failed:
            self._failures, self.open = 0, False
            return
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        if not self.open and self._failures >= BREAKER_FAILURES and now - self._failing_since >= BREAKER_SPAN:
            self.open, self._probe_at = True, now + self._probe
        if self.open:
            self._probe_at = max(self._probe_at, now + asked)

    def _in_line(self, now: float) -> float:
        self._line = max(self._line, now) + max(self._gap, (self._mean or 0) / self.places)
        return min(max(self._line - now, LEAST_WAIT), LONGEST_WAIT)
