"""`/metrics`: of the whole ledger, whichever process is asked. When Redis is away it says that alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from service.errors import LedgerDown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from service.ledger import Ledger
    from service.ledger.measuring import Measured


class Metrics:
    def __init__(self, ledger: Ledger, hooks: Sequence[str]) -> None:
        self._ledger = ledger
        self._hooks = hooks

    def routes(self) -> Sequence[Route]:
        return (Route("/metrics", self.told, methods=["GET"]),)

    async def told(self, _: Request) -> Response:
        # Its library takes longer to load than all else of a start, and most receivers are never asked.
        from service.metrics.exposition import CONTENT_TYPE, exposition  # noqa: PLC0415 - as said above

        return Response(exposition(await self._measured()), headers={"content-type": CONTENT_TYPE})

    async def _measured(self) -> Measured | None:
        try:
            return await self._ledger.measuring.measured(self._hooks)
        except LedgerDown:
            return None
