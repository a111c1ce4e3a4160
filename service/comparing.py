"""Is a source's secret still the one that its provider signs with? Asked, told, and never replaced by us."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from service import clock, wavespeed
from service.errors import ProviderDown, ProviderRefused

if TYPE_CHECKING:
    from service.sources import Source


class State(StrEnum):
    SAME = "same"
    DRIFTED = "drifted"
    """The provider signs with a secret that we do not have: every callback of it is refused."""
    UNKNOWN = "unknown"
    """The provider did not tell its secret now, or never does."""


_DETAILS = {
    State.SAME: "the secret of {source} is the provider's",
    State.DRIFTED: "the secret of {source} is not the provider's any more: its callbacks are refused, "
    "and only polling finds what they tell",
    State.UNKNOWN: "the provider does not tell the secret of {source}",
}


@dataclass(frozen=True, slots=True)
class Compared:
    source: str
    state: State
    detail: str
    """One sentence for a person; no secret."""
    at: float

    def public(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "state": self.state,
            "detail": self.detail,
            "at": clock.rfc3339(self.at),
        }


def remedy(source: str) -> str:
    """The command that mends a drift."""
    return "catchlight connect" if source == wavespeed.SOURCE else f"catchlight connect --source {source}"


async def compare(source: Source, client: wavespeed.Client) -> Compared:
    """Ask the provider for the account's secret, by its key."""
    why = ""
    try:
        theirs = await client.secret()
    except (ProviderDown, ProviderRefused) as error:
        state, why = State.UNKNOWN, f": {error}"
    else:
        state = State.SAME if wavespeed.is_among(theirs, source.secrets) else State.DRIFTED
    return Compared(source.name, state, _DETAILS[state].format(source=source.name) + why, clock.now())
