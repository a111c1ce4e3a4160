"""Deliveries: what each hook was told of, how that went attempt by attempt, and telling it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.routing import Route

from service import clock, keys
from service.errors import InvalidInput, NotFound
from service.hooks import mask_url
from service.ledger.query import STATES, parse_deliveries
from service.telling import curl
from service.web.asked import LIMIT, known_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.hooks import Hook
    from service.ledger import DeliveryRecord
    from service.web.dashboard.desk import Desk

LOOKED_AT = 4
"""Hundreds, for what is rare; a link goes on from there."""


def routes(desk: Desk) -> Sequence[Route]:
    page = _Deliveries(desk)
    return (
        Route("/deliveries", page.listed, methods=["GET"]),
        Route("/deliveries/{id}", page.shown, methods=["GET"]),
        Route("/deliveries/{id}/retry", page.retry, methods=["POST"]),
    )


class _Deliveries:
    def __init__(self, desk: Desk) -> None:
        self._ledger = desk.ledger
        self._look = desk.look
        self._hooks = {hook.name: hook for hook in desk.settings.hooks}

    async def listed(self, request: Request) -> Response:
        text = " ".join(request.query_params.get("query", "").split())
        cursor = request.query_params.get("cursor") or None
        items: list[dict[str, Any]] = []
        following, wrong = None, None
        try:
            wanted = parse_deliveries(text, clock.now())
            items, following = await self._ledger.reading.deliveries(LIMIT, cursor, wanted, LOOKED_AT)
        except InvalidInput as error:
            wrong = error
        return self._look.page(
            request,
            "deliveries.html",
            200 if wrong is None else 400,
            items=items,
            query=text,
            wrong=wrong,
            newer=_address(text) if cursor else None,
            older=_address(text, following) if following else None,
            tabs=_tabs(text),
            again=f"/runs/new?{urlencode({'kind': 'retry', 'query': text})}" if text and not wrong else None,
        )

    async def shown(self, request: Request) -> Response:
        delivery = await self._found(request)
        body = await self._ledger.deliveries.body(delivery)
        hook = self._hooks.get(delivery.hook)
        return self._look.page(
            request,
            "delivery.html",
            delivery=delivery.whole(),
            body=_read(body),
            hook=hook,
            target=_target(hook),
            curl=_command(hook, delivery, body),
        )

    async def retry(self, request: Request) -> Response:
        """Whatever became of it: the same event, the same bytes."""
        delivery = await self._found(request)
        await self._ledger.deliveries.send_again([delivery.id])
        said = "It is sent again: the same event under the same id."
        return self._look.back(request, f"/deliveries/{delivery.id}", said)

    async def _found(self, request: Request) -> DeliveryRecord:
        delivery = await self._ledger.reading.delivery(known_id(request))
        if delivery is None:
            raise NotFound("no delivery of that id; it is forgotten together with its prediction")
        return delivery


def _address(query: str, cursor: str | None = None) -> str:
    asked = {"query": query, "cursor": cursor or ""}
    filled = urlencode({name: value for name, value in asked.items() if value})
    return f"/deliveries?{filled}" if filled else "/deliveries"


def _tabs(query: str) -> list[tuple[str, str, bool]]:
    """Name, address, and whether it is this one, for every state; the other words of the query stay."""
    others = [word for word in query.split() if not word.startswith("state:")]
    here = next((word for word in query.split() if word.startswith("state:")), "")
    tabs = [("all", "")] + [(state, f"state:{state}") for state in STATES]
    return [(name, _address(" ".join([*others, word]).strip()), word == here) for name, word in tabs]


def _read(body: str | None) -> Any:
    """None when there is none, and the text itself should it ever be no JSON."""
    try:
        return None if body is None else json.loads(body)
    except ValueError:
        return body


def _target(hook: Hook | None) -> str:
    if hook is None:
        return ""
    return keys.STREAM + hook.stream if hook.is_stream else mask_url(hook.url)


def _command(hook: Hook | None, delivery: DeliveryRecord, body: str | None) -> str | None:
    """None for what is not sent over HTTP, or is no longer there."""
    if hook is None or hook.is_stream or body is None:
        return None
    return curl.signed(mask_url(hook.url), delivery.event_id, body)
