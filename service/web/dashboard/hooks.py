"""Hooks: how each stands, what it failed of and how slow it is; a test, and switching one off and on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.routing import Route

from service import clock, keys
from service.errors import InvalidInput, NotFound
from service.hooks import budget, mask_url
from service.hooks.explained import IN_STREAM, explain
from service.hooks.hours import HOUR, SHOWN, total
from service.hooks.troubles import trouble
from service.ledger.query import DeliveryQuery
from service.web.dashboard import forms, strip
from service.web.dashboard.deliveries import LOOKED_AT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.hooks import Hook
    from service.hooks.hours import Hour
    from service.hooks.standing import Standing
    from service.ledger.hooks import Waiting
    from service.web.dashboard.desk import Desk

RECENT = 20
"""Deliveries shown on a hook's page."""
STAND_MOST = 100
"""Deliveries of a state that are looked at for what they stand at."""
WHY_MOST = 200
BY_HAND = "by an operator"
LATE_ANSWER = 60.0
"""Seconds after which nobody seems to send the ping that was asked for."""


def routes(desk: Desk) -> Sequence[Route]:
    page = _Hooks(desk)
    return (
        Route("/hooks", page.listed, methods=["GET"]),
        Route("/hooks/{name}", page.shown, methods=["GET"]),
        Route("/hooks/{name}/test", page.test, methods=["POST"]),
        Route("/hooks/{name}/enable", page.enable, methods=["POST"]),
        Route("/hooks/{name}/disable", page.disable, methods=["POST"]),
    )


class _Hooks:
    def __init__(self, desk: Desk) -> None:
        self._ledger = desk.ledger
        self._look = desk.look
        self._hooks = {hook.name: hook for hook in desk.settings.hooks}
        lived = SHOWN * HOUR + budget(desk.settings.hook_schedule)
        self._days = math.ceil(lived / 86_400)
        """So old are deliveries that may have been attempted in the hours that are shown."""

    async def listed(self, request: Request) -> Response:
        names = list(self._hooks)
        standings = await self._ledger.hooks.standings(names)
        hours = await self._ledger.hooks.hours(names, clock.now())
        waiting = await self._ledger.hooks.waiting()
        shown = [
            self._told(self._hooks[one.name], one, hours[one.name], waiting)
            for one in sorted(standings, key=lambda one: (_URGENCY.index(one.state), one.name))
        ]
        return self._look.page(request, "hooks.html", hooks=shown, box=_BOX)

    async def shown(self, request: Request) -> Response:
        hook = self._known(request)
        (standing,) = await self._ledger.hooks.standings([hook.name])
        hours = await self._ledger.hooks.hours([hook.name], clock.now())
        waiting = await self._ledger.hooks.waiting()
        of_hook = DeliveryQuery(hook=hook.name)
        recent, older = await self._ledger.reading.deliveries(RECENT, None, of_hook, LOOKED_AT)
        tested = await self._ledger.hooks.last_test(hook.name)
        told = self._told(hook, standing, hours[hook.name], waiting)
        if told["troubles"]:
            words, is_all = await self._given_up(hook.name)
            waits = bool(told["waiting"] or standing.parked or not waiting.complete)
            for one in told["troubles"]:
                one["none"] = "" if one["word"] in words or not is_all else _none(words, waits=waits)
        return self._look.page(
            request,
            "hook.html",
            hook=told,
            declared=_declared(hook),
            recent=recent,
            older=older,
            tested=_explained(hook, tested, clock.now()),
            box=_BOX,
            by_hand=BY_HAND,
        )

    async def test(self, request: Request) -> Response:
        hook = self._known(request)
        await self._ledger.hooks.ask_test(hook.name)
        said = "A ping is asked for: its answer stands below in a moment."
        return self._look.back(request, f"/hooks/{hook.name}", said)

    async def enable(self, request: Request) -> Response:
        hook = self._known(request)
        await self._ledger.deliveries.enable(hook.name)
        said = f"{hook.name} is enabled; what waited for it is being sent."
        return self._look.back(request, f"/hooks/{hook.name}", said)

    async def disable(self, request: Request) -> Response:
        """With a reason, which whoever wonders is shown."""
        hook = self._known(request)
        why = " ".join((await forms.read(request)).get("why", "").split())
        if not why or len(why) > WHY_MOST:
            raise InvalidInput("why", f"is a reason of 1 to {WHY_MOST} characters, for whoever wonders")
        await self._ledger.deliveries.disable(hook.name, why, clock.now())
        said = f"{hook.name} is disabled: its deliveries wait, and none is lost."
        return self._look.back(request, f"/hooks/{hook.name}", said)

    async def _given_up(self, name: str) -> tuple[set[str], bool]:
        """The words that those stand at that were given up, as far as a page looks; whether that is all."""
        wanted = DeliveryQuery(hook=name, state="dead")
        items, older = await self._ledger.reading.deliveries(STAND_MOST, None, wanted, 1)
        return {trouble(item["last_status"], item["error"]) for item in items}, older is None

    def _told(
        self, hook: Hook, standing: Standing, hours: Sequence[Hour], waiting: Waiting
    ) -> dict[str, Any]:
        whole = total(hours)
        return {
            "name": hook.name,
            "kind": hook.kind,
            "target": keys.STREAM + hook.stream if hook.is_stream else mask_url(hook.url),
            "standing": standing,
            "bars": strip.bars(hours),
            "told": strip.told(hours),
            "percent": strip.percent(whole),
            "attempts": whole.attempts,
            "failures": whole.failures,
            "troubles": [_trouble(hook.name, word, count, self._days) for word, count in whole.troubles()],
            "p50": whole.within_ms(0.5),
            "p95": whole.within_ms(0.95),
            "mean": whole.mean_ms,
            "waiting": waiting.by_hook.get(hook.name, 0),
            "waiting_is_all": waiting.complete,
            "href": f"/deliveries?{urlencode({'query': f'hook:{hook.name}'})}",
        }

    def _known(self, request: Request) -> Hook:
        name = request.path_params["name"]
        if name not in self._hooks:
            raise NotFound("no hook of that name is declared in catchlight.toml")
        return self._hooks[name]


_BOX = (strip.WIDTH, strip.HEIGHT)
_URGENCY = ("disabled", "parked", "failing", "enabled")


def _trouble(name: str, word: str, count: int, days: int) -> dict[str, Any]:
    """What is listed, and what would be sent again, are found by the same words."""
    query = f"hook:{name} err:{word} since:{days}d"
    return {
        "word": word,
        "count": count,
        "href": f"/deliveries?{urlencode({'query': query})}",
        "again": f"/runs/new?{urlencode({'kind': 'retry', 'query': query})}",
    }


def _none(given_up: set[str], *, waits: bool) -> str:
    """Why nothing of one word is to be sent again: a run takes what has ended, and failed."""
    if waits:
        return "none was given up; what waits is tried by itself"
    return "none stands at it now" if given_up else "all delivered since"


def _declared(hook: Hook) -> list[tuple[str, str]]:
    """Of its table in catchlight.toml what may be shown: as JSON its secrets and headers are masked."""
    shown = hook.model_dump(mode="json")
    of_stream = ("stream", "maxlen", "max_age")
    of_webhook = ("url", "secrets", "timeout", "headers", "rate", "concurrency")
    names = ("events", "models", "sources", "nsfw", *(of_stream if hook.is_stream else of_webhook))
    seconds = {name: f"{shown[name]:g} s" for name in ("timeout", "max_age")}
    return [(name, seconds.get(name) or _text(shown[name])) for name in names]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {one}" for name, one in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "no bound of its own" if value is None else str(value)


def _explained(hook: Hook, tested: Mapping[str, Any] | None, now: float) -> dict[str, Any] | None:
    """The last test as the page tells it."""
    if tested is None:
        return None
    if "at" not in tested:
        asked = clock.parse_rfc3339(tested["asked_at"]) or now
        return {"asked_at": tested["asked_at"], "is_late": now - asked > LATE_ANSWER}
    explained = IN_STREAM
    if not (hook.is_stream and tested["taken"]):
        explained = explain(tested["status"], tested["error"] or "", refused=tested["refused"])
    return {**tested, "explained": explained}
