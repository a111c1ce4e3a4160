"""What a process tells of its effort, and how that is written beside its beat."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HOOK = "hook:"
"""Before a hook's name: attempts that wait for its answer."""
_SHARES = ("seconds", "counted", "cpu", "loop", "starved", "lag")
TURNED_BY_RATE, TURNED_BY_PLACES = "turned_by_rate:", "turned_by_places:"
"""Before a hook's name: deliveries that its gate has sent back in line."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Shares are of one core, from 0 to 1 for one thread; they and means are of the last `seconds`, a quarter
    of a minute, so that they tell of now. Rates are of the last `counted` seconds, a minute.
    """

    seconds: float
    counted: float
    cpu: float
    """Of the whole process, all threads: more than 1 when several ran at once."""
    loop: float
    """For how much of the time the thread of its event loop ran."""
    starved: float
    """For how much that thread was ready to run and no core was free. 0 where the system does not say."""
    lag: float
    """Seconds by which what was due on the loop came too late, on average."""
    means: Mapping[str, float] = field(default_factory=dict)
    """How many there were of each on average: jobs in flight, bytes on their way, …"""
    rates: Mapping[str, float] = field(default_factory=dict)
    """How many there were of each in a second."""

    @property
    def busy(self) -> float:
        """For how much of the time the loop had something to do: at 1 it can do no more."""
        return min(1.0, self.loop + self.starved)

    def mean(self, name: str) -> float:
        return self.means.get(name, 0.0)

    def rate(self, name: str) -> float:
        return self.rates.get(name, 0.0)

    def text(self) -> str:
        return json.dumps(
            {
                "seconds": round(self.seconds, 1),
                "counted": round(self.counted, 1),
                "cpu": round(self.cpu, 4),
                "loop": round(self.loop, 4),
                "starved": round(self.starved, 4),
                "lag": round(self.lag, 4),
                "means": {name: round(value, 3) for name, value in self.means.items()},
                "rates": {name: round(value, 3) for name, value in self.rates.items()},
            },
            separators=(",", ":"),
        )


NOTHING = Effort(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def read(text: str | None) -> Effort | None:
    """None of a version that tells nothing, or something else."""
    try:
        said = json.loads(text or "null")
        seconds, counted, cpu, loop, starved, lag = (_number(said[name]) for name in _SHARES)
        return Effort(
            seconds, counted, cpu, loop, starved, lag, _numbers(said["means"]), _numbers(said["rates"])
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _numbers(said: dict[str, Any]) -> dict[str, float]:
    return {str(name): _number(value) for name, value in said.items()}


def _number(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError("no number that means anything")
    return number
