"""Bulk runs: planned on one page, confirmed on the next, which then shows how far they are.

A plan is written down before anybody confirms it, so that a run acts on exactly what was shown.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from starlette.routing import Route

from service import clock, runs
from service.errors import InvalidInput
from service.ledger.runs import RATE, Kind, Order, State
from service.prediction import Ref
from service.web.asked import known_id
from service.web.dashboard import forms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from service.ledger.runs import Run
    from service.web.dashboard.desk import Desk

LISTED = 100
NOTHING = "nothing that has ended matches; what is on its way goes on by itself"
SAMPLE = 5
"""Members shown from each end of a plan."""
LEFT_SHOWN = 100
LOOKED_AT, LOOKED_AT_SLOWLY = 300, 50
"""Of the members that were done last, to say what became of them; each one's deliveries take longer."""


def routes(desk: Desk) -> Sequence[Route]:
    page = _Runs(desk)
    return (
        Route("/runs", page.listed, methods=["GET"]),
        Route("/runs/new", page.new, methods=["GET", "POST"]),
        Route("/runs/{id}", page.shown, methods=["GET"]),
        Route("/runs/{id}/start", page.start, methods=["POST"]),
        Route("/runs/{id}/again", page.again, methods=["POST"]),
    )


class _Runs:
    def __init__(self, desk: Desk) -> None:
        self._ledger = desk.ledger
        self._look = desk.look

    async def listed(self, request: Request) -> Response:
        now = clock.now()
        found = [_told(run, now) for run in await self._ledger.runs.latest(LISTED)]
        return self._look.page(request, "runs.html", runs=found, most=LISTED)

    async def new(self, request: Request) -> Response:
        """One route for both methods, so that a 405 names both."""
        if request.method == "GET":
            return self._form(request, request.query_params)
        sent = await forms.read(request)
        try:
            order = _order(sent)
            found = await runs.find(self._ledger, order)
        except InvalidInput as error:
            return self._form(request, sent, error)
        if not found.members:
            return self._form(request, sent, InvalidInput("query", NOTHING))
        run = await runs.write(self._ledger, order, found)
        return self._look.back(request, f"/runs/{run.id}")

    def _form(self, request: Request, sent: Mapping[str, str], wrong: InvalidInput | None = None) -> Response:
        given = {
            "kind": Kind.RETRY if sent.get("kind") == Kind.RETRY else Kind.REPLAY,
            "query": sent.get("query", ""),
            "step": _step(sent),
            "rate": sent.get("rate") or f"{RATE:g}",
            "new_id": sent.get("new_id") == "1",
        }
        status = 200 if wrong is None else 422
        return self._look.page(request, "run_new.html", status, given=given, wrong=wrong)

    async def shown(self, request: Request) -> Response:
        run, now = await self._ledger.runs.get(known_id(request)), clock.now()
        slowly = run.order.kind is Kind.REPLAY and run.order.step == "deliver"
        last = LOOKED_AT_SLOWLY if slowly else LOOKED_AT
        stands = await runs.became(self._ledger, run, last) if run.position else {}
        left = await self._ledger.runs.left(run.id, 0, LEFT_SHOWN - 1) if run.skipped + run.failed else []
        return self._look.page(
            request,
            "run.html",
            run=_told(run, now),
            asked=run.id in await self._ledger.runs.asked(LISTED),
            oldest=await self._some(run, 0),
            newest=await self._some(run, max(SAMPLE, run.total - SAMPLE)),
            became=Counter(stands.values()).most_common(),
            last=min(last, run.position),
            again=bool(run.failed)
            or last < run.position
            or any(word in runs.BAD for word in stands.values()),
            left=[one._asdict() | _linked(run, one.member) for one in left],
        )

    async def _some(self, run: Run, start: int) -> list[dict[str, str]]:
        members = await self._ledger.runs.members(run.id, start, SAMPLE) if start < run.total else []
        return [_linked(run, member) for member in members]

    async def start(self, request: Request) -> Response:
        """Also of one that was interrupted. The sweeper carries it out."""
        run = await self._ledger.runs.get(known_id(request))
        if run.position < run.total:
            await self._ledger.runs.ask(run.id, clock.now())
        return self._look.back(
            request, f"/runs/{run.id}", f"{run.id} is asked for; the sweeper carries it out."
        )

    async def again(self, request: Request) -> Response:
        """A new plan, to be confirmed like any other."""
        run = await self._ledger.runs.get(known_id(request))
        if not await runs.failures(self._ledger, run):
            return self._look.back(request, f"/runs/{run.id}", "Nothing of it failed: no other is planned.")
        run = await runs.again(self._ledger, run.id)
        return self._look.back(
            request, f"/runs/{run.id}", "This is the plan of another run over what failed."
        )


def _order(sent: Mapping[str, str]) -> Order:
    """Raises InvalidInput for a rate that is no number; `runs.plan` looks at the rest."""
    try:
        rate = float(sent.get("rate") or RATE)
    except ValueError:
        raise InvalidInput("rate", "is a number per second, as in 20 or 0.5") from None
    query = " ".join(sent.get("query", "").split())
    if sent.get("kind") == Kind.RETRY:
        return Order(Kind.RETRY, query, "deliver", rate)
    return Order(Kind.REPLAY, query, _step(sent), rate, sent.get("new_id") == "1")


def _step(sent: Mapping[str, str]) -> Literal["fetch", "deliver"]:
    wanted = sent.get("from") or "fetch"
    if wanted not in ("fetch", "deliver"):
        raise InvalidInput("from", "is fetch or deliver")
    return "deliver" if wanted == "deliver" else "fetch"


def _told(run: Run, now: float) -> dict[str, Any]:
    """Its public object, and what follows from that for a reader."""
    began = run.started_at
    took = (run.ended_at or min(run.beat_at, now)) - began if began is not None else 0.0
    return run.public(now) | {
        "noun": _noun(run),
        "took": took,
        "pace": run.position / took if took > 0 else None,
        "remaining": (run.total - run.position) / run.order.rate,
        "goes_on": run.state(now) is not State.ENDED and run.total > 0,
    }


def _noun(run: Run) -> str:
    one, many = ("delivery", "deliveries") if run.order.kind is Kind.RETRY else ("prediction", "predictions")
    return one if run.total == 1 else many


def _linked(run: Run, member: str) -> dict[str, str]:
    if run.order.kind is Kind.RETRY:
        return {"name": member, "href": f"/deliveries/{quote(member)}"}
    ref = Ref.parse(member)
    return {"name": ref.id, "href": f"/predictions/{quote(ref.id)}?source={quote(ref.source)}"}
