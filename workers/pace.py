"""Pace: so many starts in any second and no more. The caller's clock must never go back."""

from __future__ import annotations

from collections import deque


class Pace:
    """At most `per_second` starts in any second, a whole number; below one, one every 1 / `per_second` s."""

    def __init__(self, per_second: float) -> None:
        most = max(1, int(per_second))
        self._window = max(1.0, 1 / per_second)
        self._starts: deque[float] = deque(maxlen=most)

    def wait(self, now: float) -> float:
        """Seconds until one more may start; 0 when it may now."""
        if len(self._starts) < (self._starts.maxlen or 0):
            return 0.0
        return max(0.0, self._starts[0] + self._window - now)

    def start(self, now: float) -> None:
        self._starts.append(now)
