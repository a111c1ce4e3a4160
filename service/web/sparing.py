"""How often something is said: so many of a kind in a while; what is left out is counted."""

from __future__ import annotations

from collections import Counter


class Sparing:
    """At most `most` of each kind in `seconds`. Kinds must be few."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._until = 0.0
        self._said: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def admits(self, kind: str, now: float) -> bool:
        """`now`: seconds by a clock that is never set."""
        if now >= self._until:
            self._said.clear()
            self._until = now + self._seconds
        admitted = self._said[kind] < self._most
        (self._said if admitted else self._left_out)[kind] += 1
        return admitted

    def take_left_out(self) -> dict[str, int]:
        """How many of each kind since this was last asked."""
        taken, self._left_out = self._left_out, Counter()
        return dict(taken)
