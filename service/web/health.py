"""Probes: alive needs nothing; ready means that Redis takes a write, and nothing else.

A receiver that turned unready for storage or workers would lose callbacks that it can still write down.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

from service import clock, keys
from service.errors import LedgerDown
from service.intake import ANSWER_WITHIN
from service.ledger import reaching
from service.web import problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.ledger import Ledger

_PROBE_LIVES = 60
_LATE = 30.0
"""Seconds: the promise is that nothing waits longer beyond its due time."""


class Health:
    """`ledgers` by the name of their shard, or the only one under "".

    One shard that takes a write makes it ready: unready, it would lose the callbacks of that one as well.
    """

    def __init__(self, ledgers: Mapping[str, Ledger]) -> None:
        self._ledgers = ledgers

    def routes(self) -> Sequence[Route]:
        return (
            Route("/livez", self.live, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
        )

    async def live(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        answers = await asyncio.gather(*map(_takes_a_write, self._ledgers.values()))
        if not any(answers):
            return problems.redis_down("Redis does not take a write")
        if "verbose" not in request.query_params:
            return JSONResponse({"status": "ok"})
        checks = []
        for (shard, ledger), fine in zip(self._ledgers.items(), answers, strict=True):
            found = await _checks(ledger) if fine else [_check("redis", "does not take a write", fine=False)]
            checks += [one | {"name": f"{shard}.{one['name']}"} for one in found] if shard else found
        return JSONResponse({"status": "ok", "checks": checks})


async def _takes_a_write(ledger: Ledger) -> bool:
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            with reaching():
                await ledger.redis.set(keys.PROBE, f"{clock.now():.3f}", ex=_PROBE_LIVES)
    except (LedgerDown, TimeoutError):
        return False
    return True


async def _checks(ledger: Ledger) -> list[dict[str, str]]:
    """For people: none of these makes it unready."""
    checks = [_check("redis", "takes a write", fine=True)]
    try:
        alive = {one.role for one in await ledger.roles.alive()}
        late = (await ledger.reading.scaling())["oldest_due_seconds"]
    except LedgerDown:
        return [*checks, _check("ledger", "Redis went away meanwhile", fine=False)]
    for role in ("work", "sweep"):
        detail = "beats" if role in alive else f"no `catchlight {role}` beats"
        checks.append(_check(role, detail, fine=role in alive))
    # A worker beats only once it has written to its storage; we may have no way to it ourselves.
    opened = "opened by a worker" if "work" in alive else "no worker to tell"
    checks.append(_check("storage", opened, fine="work" in alive))
    checks.append(_check("age", f"the oldest due item is {late:g} s late", fine=late < _LATE))
    return checks


def _check(name: str, detail: str, *, fine: bool) -> dict[str, str]:
    return {"name": name, "state": "ok" if fine else "warn", "detail": detail}
