"""The dashboard: pages of the ledger, made on the server. A module per page, `base.html` around them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from service.errors import CatchlightError
from service.web.dashboard import (
    deliveries,
    gallery,
    hooks,
    now,
    prediction,
    predictions,
    refused,
    review,
    runs,
    settings,
    setup,
    workers,
)
from service.web.dashboard.desk import Desk
from service.web.dashboard.live import Live
from service.web.dashboard.look import Look, Which
from service.web.dashboard.media import Media
from service.web.dashboard.shelf import Shelf
from service.web.dashboard.troubled import Troubled
from service.web.problems import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.routing import Route
    from starlette.types import ExceptionHandler

    from service.ledger import Ledger
    from service.operator import Operator
    from service.settings import Settings

    Page = Callable[[Desk], Sequence[Route]]

_PAGES: tuple[Page, ...] = (
    deliveries.routes,
    gallery.routes,
    hooks.routes,
    now.routes,
    prediction.routes,
    predictions.routes,
    refused.routes,
    review.routes,
    runs.routes,
    settings.routes,
    setup.routes,
    workers.routes,
)
"""In no order: what the menu shows, and in which, stands in `look.py`."""


class Dashboard:
    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        operator: Operator,
        *,
        can_sign_out: bool,
        beside: Sequence[str] = (),
    ) -> None:
        """`beside`: the names of all shards between which a reader may go; empty where there is one Redis."""
        which = Which(settings.shard, beside)
        self.look = Look(settings.environment, which, can_sign_out=can_sign_out)
        self.live = Live(ledger)
        self._shelf = Shelf(settings, ledger)
        self._desk = Desk(ledger, operator, settings, self.look, self._shelf)

    def routes(self) -> list[Route]:
        """Of all pages, for whoever may read; what changes something is a POST."""
        media = Media(self._shelf)
        return [
            *self.live.routes(),
            *media.routes(),
            *(route for page in _PAGES for route in page(self._desk)),
        ]

    async def aclose(self) -> None:
        await self.live.aclose()
        await self._shelf.aclose()

    def exception_handlers(self) -> dict[type[Exception], ExceptionHandler]:
        troubled = Troubled(self.look, self.live)
        return {
            CatchlightError: troubled.on_error,
            Refusal: troubled.on_refusal,
            HTTPException: troubled.on_http_error,
            Exception: troubled.on_bug,
        }
