"""What a judgement rests on; all of it was read within a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.ledger.server import UNKNOWN, Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.hooks.standing import Standing
    from service.ledger.roles import Alive
    from service.throughput import Fetches


@dataclass(frozen=True, slots=True)
class Facts:
    now: float
    roles: Sequence[Alive]
    """Every process that beats."""
    stages: Mapping[str, int]
    scaling: Mapping[str, Any]
    tally: Mapping[str, int]
    hooks: Sequence[Standing] = ()
    """Of every hook that is declared."""
    server: Server = UNKNOWN
    died: int = 0
    """Deliveries that were given up in the last day, or since counting began."""
    forged: int = 0
    """Of the last refused callbacks those of the last hour whose signature did not hold."""
    urgent_within: float = 86_400.0
    """Seconds to a deletion at the provider, below which it is worth a warning."""
    drifts: Sequence[Mapping[str, Any]] = ()
    """The last reconciliation of each source."""
    reconcile_every: float = 0.0
    """Seconds; 0 for never."""
    secrets: Sequence[Mapping[str, Any]] = ()
    """The last comparison of each source's secret with the provider's."""
    fetches: Fetches | None = None
    """Of the last minutes; None where nobody has counted."""
    warnings: Sequence[str] = ()
    """Of the settings."""
