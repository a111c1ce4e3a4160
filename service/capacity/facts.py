"""What a verdict rests on; all of it was read within a few seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.effort import NOTHING
from service.ledger.server import ADMIT_BELOW, UNKNOWN, Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.effort import Effort
    from service.ledger.roles import Alive


@dataclass(frozen=True, slots=True)
class Rates:
    """A second, over the last `seconds`."""

    seconds: float = 0.0
    arriving: float = 0.0
    """Completions, however they came."""
    ending: float = 0.0
    """Predictions in a terminal stage."""
    telling: float = 0.0
    """Deliveries that were taken."""
    recovered: float = 0.0
    """Of what arrives that which no callback told of."""


@dataclass(frozen=True, slots=True)
class OfRedis:
    """Between two looks `seconds` apart. Shares are of one core: it runs all commands in one thread."""

    seconds: float = 0.0
    cpu: float = 0.0
    writing: float | None = None
    """For which share of the time it wrote its log and waited for the disk; None where it does not say."""
    commands: float = 0.0
    """A second."""
    scripts: float = 0.0
    received: float = 0.0
    """Bytes a second."""
    sent: float = 0.0
    predictions: int = 0
    """In the ledger."""
    used: int = 0
    """Bytes that it had before anything was written into it taken off."""

    @property
    def busy(self) -> float:
        # Waiting for a disk is no CPU time, and meanwhile it does nothing else.
        return min(1.0, self.cpu + (self.writing or 0.0))

    @property
    def bytes_each(self) -> float | None:
        """Of one prediction; None while there are too few to say."""
        return self.used / self.predictions if self.predictions >= _ENOUGH else None


_ENOUGH = 1000


@dataclass(frozen=True, slots=True)
class Facts:
    now: float
    roles: Sequence[Alive]
    scaling: Mapping[str, Any]
    rates: Rates = Rates()
    redis: OfRedis = OfRedis()
    server: Server = UNKNOWN
    retention: float = 30 * 86_400.0
    poll_rate: float = 20.0
    """Requests a second, over all sources."""
    hook_rates: Mapping[str, float] = field(default_factory=dict)
    """Of those hooks that have one: attempts a second in each worker."""

    def of(self, role: str) -> Sequence[Alive]:
        return [one for one in self.roles if one.role == role]

    def efforts(self, role: str) -> Sequence[Effort]:
        return [one.said.effort for one in self.of(role) if one.said.effort]

    def mean(self, name: str) -> float:
        """In all workers together."""
        return sum(effort.mean(name) for effort in self.efforts("work"))

    def rate(self, name: str) -> float:
        return sum(effort.rate(name) for effort in self.efforts("work"))

    def busiest(self, role: str) -> Effort:
        return max(self.efforts(role), key=lambda effort: effort.busy, default=NOTHING)

    @property
    def slots(self) -> int:
        return sum(one.said.slots or 0 for one in self.of("work"))

    @property
    def drained_in(self) -> float | None:
        """Seconds until what waits is done, if all goes on like this; None when it grows."""
        left, gain = self.scaling["backlog"], self.rates.ending - self.rates.arriving
        if not left:
            return 0.0
        return left / gain if gain > 0 else None

    @property
    def memory_lasts(self) -> float | None:
        """Seconds until Redis takes nothing new; None for good, or when nobody can say."""
        each, most = self.redis.bytes_each, self.server.most
        if each is None or not most or not self.rates.arriving:
            return None
        if self.rates.arriving * self.retention * each <= most * ADMIT_BELOW:
            # By then as many go as come.
            return None
        return max(0.0, most * ADMIT_BELOW - self.server.used) / (self.rates.arriving * each)

    @property
    def disk_free(self) -> int | None:
        """Bytes, on the fullest of the disks that workers store on."""
        return min(
            (one.said.free_bytes for one in self.roles if one.said.free_bytes is not None), default=None
        )

    @property
    def disk_lasts(self) -> float | None:
        free, rate = self.disk_free, self.rate("bytes")
        return None if free is None or not rate else free / rate
