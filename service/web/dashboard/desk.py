"""What every page has at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.ledger import Ledger
    from service.operator import Operator
    from service.settings import Settings
    from service.web.dashboard.look import Look
    from service.web.dashboard.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Desk:
    ledger: Ledger
    operator: Operator
    settings: Settings
    look: Look
    shelf: Shelf
    """The files of outputs."""
