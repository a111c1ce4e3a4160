"""How a hook stands: it takes events, it fails, it is left alone for a while, or it is switched off."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(StrEnum):
    ENABLED = "enabled"
    FAILING = "failing"
    PARKED = "parked"
    """It fails for so long that it is only probed; what is for it waits."""
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Standing:
    name: str
    state: State
    since: float | None = None
    """From when on it is so, in seconds since the epoch; None for one that is well."""
    why: str = ""
    """Of one that is disabled."""
    in_a_row: int = 0
    """Failed attempts since the last that succeeded; 0 where nobody has counted."""
    trouble: str = ""
    """The word for what the last one failed of."""
    parked: int = 0
    """Deliveries that wait until it takes something, or is enabled."""

    @property
    def told(self) -> str:
        """Since when, how often and why, in a few words; the instant is the reader's to add."""
        if self.state is State.DISABLED:
            return f"disabled: {self.why}" if self.why else "disabled"
        if self.state is State.ENABLED:
            return "takes events"
        times = f"{self.in_a_row} in a row" if self.in_a_row else "failing"
        return f"{times}, the last {self.trouble}" if self.trouble else times


def standing(name: str, held: Mapping[str, str], parked: int) -> Standing:
    """`held`: the hook's hash in the ledger. Only what stands beside `failing_since` is of this outage."""
    disabled, failing = held.get("disabled"), held.get("failing_since")
    if disabled:
        return Standing(name, State.DISABLED, float(disabled), held.get("why", ""), parked=parked)
    if not failing:
        return Standing(name, State.ENABLED, parked=parked)
    return Standing(
        name=name,
        state=State.PARKED if parked else State.FAILING,
        since=float(failing),
        in_a_row=int(held.get("in_a_row") or 0),
        trouble=held.get("failing_with", ""),
        parked=parked,
    )
