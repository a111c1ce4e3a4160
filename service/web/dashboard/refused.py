"""Refused callbacks: which were turned away, why, how often lately, and what lets the next one through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.routing import Route

from service import clock
from service.refusals import remedy
from service.web.asked import LIMIT
from service.web.dashboard import strip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.web.dashboard.desk import Desk

    Hours = Sequence[tuple[float, Mapping[str, int]]]


def routes(desk: Desk) -> Sequence[Route]:
    return (Route("/refused", _Refused(desk).listed, methods=["GET"]),)


class _Refused:
    def __init__(self, desk: Desk) -> None:
        self._ledger = desk.ledger
        self._look = desk.look
        self._paths = [source.path for source in desk.settings.accounts]

    async def listed(self, request: Request) -> Response:
        cursor = request.query_params.get("cursor") or None
        found = await self._ledger.refusals.listed(LIMIT, cursor)
        hours = await self._ledger.refusals.hours(clock.now())
        return self._look.page(
            request,
            "refused.html",
            items=found["items"],
            reasons=self._reasons(found["totals"], hours),
            newer="/refused" if cursor else None,
            older=f"/refused?{urlencode({'cursor': found['next']})}" if found["next"] else None,
            box=(strip.WIDTH, strip.HEIGHT),
        )

    def _reasons(self, totals: Mapping[str, int], hours: Hours) -> list[dict[str, Any]]:
        """Each with its remedy; those of the last hours first, and of them the most frequent."""
        reasons = [
            {
                "reason": reason,
                "total": total,
                "lately": sum(counts.get(reason, 0) for _, counts in hours),
                "remedy": remedy(reason, self._paths),
                "bars": strip.counted([(at, counts.get(reason, 0)) for at, counts in hours]),
            }
            for reason, total in totals.items()
        ]
        return sorted(reasons, key=lambda one: (-one["lately"], -one["total"], one["reason"]))
