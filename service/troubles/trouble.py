"""One trouble: what is wrong, and what ends it, for a terminal and for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from service.ledger.durability import State

if TYPE_CHECKING:
    from collections.abc import Iterable


class Button(NamedTuple):
    """What a page offers for a trouble."""

    label: str
    route: str
    posts: bool = False
    """Whether it does something at once; else it leads to where it can be done."""


class Trouble(NamedTuple):
    name: str
    state: State
    """WARN, or FAIL when something is refused, stands still or is being lost now."""
    detail: str
    fix: str
    """The command that ends it, or shows more of it."""
    button: Button | None = None

    def public(self) -> dict[str, str]:
        """As `status --json` shows it."""
        return {"name": self.name, "state": self.state, "detail": self.detail, "fix": self.fix}


def healthy(troubles: Iterable[Trouble]) -> bool:
    return all(one.state is not State.FAIL for one in troubles)
