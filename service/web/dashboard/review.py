"""The review: one held output at a time, covered until it is revealed, and a person's word about it.

All of it is links and forms; `review.js` only gives them keys. Whoever reviews has an output for a minute,
which their page renews; the ledger lets the first of two decide in any case.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import structlog
from starlette.responses import Response
from starlette.routing import Route

from service import clock, reviewing
from service.errors import Conflict, InvalidInput, NotFound
from service.ledger import query
from service.prediction import Disposition, Ref, Stage
from service.review import Decision
from service.reviewing import BY_MOST, REASON_MOST, Reviewer
from service.web.dashboard import forms, undoing
from service.web.dashboard.media import TOKEN
from service.web.dashboard.reviewer import Looks, keep_name, name_of
from service.web.dashboard.seen import seen
from service.web.dashboard.shelf import where
from service.web.dashboard.undoing import TOGETHER_MOST, path, place
from service.web.dashboard.waiting import Queue
from service.web.tokens import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from service.web.dashboard.desk import Desk
    from service.web.dashboard.shelf import Item
    from service.web.dashboard.waiting import Waiting

    Place = tuple[Ref, int]

log = structlog.get_logger("review")

STRIP = 12
LOOKS_SHOWN = 100
_AGAIN = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between tries while a worker has the prediction, for another output of it perhaps."""
_NOTHING: dict[str, Any] = {"reason": "", "more": "", "also": []}
_SAID = {Decision.APPROVE: "Approved", Decision.REJECT: "Rejected", Decision.UNDO: "Taken back"}


def routes(desk: Desk) -> Sequence[Route]:
    page = _Review(desk)
    at = "/review/{source}/{id}/{index}"
    return (
        Route("/review", page.next, methods=["GET"]),
        Route("/review/looked", page.looked, methods=["GET"]),
        Route("/review/own", page.own, methods=["POST"]),
        Route(at, page.shown, methods=["GET"]),
        Route(f"{at}/reveal", page.reveal, methods=["GET", "POST"]),
        Route(f"{at}/looks", page.looks, methods=["GET", "POST"]),
        Route(f"{at}/keep", page.keep, methods=["POST"]),
        Route(f"{at}/decide", page.decide, methods=["GET", "POST"]),
        Route(f"{at}/undo", page.undo, methods=["POST"]),
    )


class _Review:
    def __init__(self, desk: Desk) -> None:
        self._ledger = desk.ledger
        self._look = desk.look
        self._shelf = desk.shelf
        self._reasons = desk.settings.review_reasons
        self._queue = Queue(desk.ledger, desk.shelf)

    async def next(self, request: Request) -> Response:
        params = request.query_params
        found = await self._queue.next(_wanted(request), params.get("after") or None, name_of(request))
        if found is None:
            words = params.get("query", "")
            return self._look.page(request, "review_empty.html", undo=undoing.offered(request), words=words)
        return self._look.back(request, _to(f"/review/{found.item.path}", request))

    async def looked(self, request: Request) -> Response:
        looks = (await self._ledger.reviewers.looks())[:LOOKS_SHOWN]
        return self._look.page(request, "review_looked.html", looks=looks)

    async def own(self, request: Request) -> Response:
        """The name that the browser keeps of this reviewer. Raises InvalidInput: nothing of it is cut."""
        sent = await forms.read(request)
        goal, name = sent.get("next", ""), sent.get("name", "").strip()
        answer = self._look.back(request, goal if goal.startswith("/review") else "/review")
        try:
            keep_name(request, answer, Reviewer(name).by)
        except InvalidInput:
            wanted = f"must be 1 to {BY_MOST} printable characters; this one has {len(name)}"
            raise InvalidInput("name", wanted) from None
        if name != name_of(request):
            undoing.keep(request, answer, ())
        return answer

    async def shown(self, request: Request) -> Response:
        return await self._page(request, where(request), await self._shelf.asked(request))

    async def reveal(self, request: Request) -> Response:
        """On record before anything is shown. A GET is a reload of the answer, and covers it again."""
        item = await self._shelf.asked(request)
        if request.method == "GET":
            return self._look.back(request, _to(f"/review/{item.path}", request))
        if not (who := name_of(request)):
            return self._nobody(request, where(request))
        await self._ledger.reviewers.saw(item.ref, item.index, who)
        log.info("review.revealed", prediction=str(item.ref), output=item.index, by=who)
        return await self._page(request, where(request), item, revealed=True, typed=await _typed(request))

    async def looks(self, request: Request) -> Response:
        """How pictures are shown, which the browser keeps; with what is typed, and what is revealed still."""
        item = await self._shelf.asked(request)
        if request.method == "GET":
            return self._look.back(request, _to(f"/review/{item.path}", request))
        typed = await _typed(request)
        options = Looks.of(request)
        grey = typed["grey"] == "1" if "grey" in typed else options.grey
        options = Looks(grey, typed["silent"] == "1" if "silent" in typed else options.silent)
        revealed = self._shelf.is_revealed(item, typed.get(TOKEN, ""))
        answer = await self._page(
            request, where(request), item, revealed=revealed, typed=typed, options=options
        )
        options.keep(request, answer)
        return answer

    async def keep(self, request: Request) -> Response:
        await self._shelf.there(request)
        ref, index = where(request)
        if who := name_of(request):
            await self._ledger.reviewers.take(ref, index, who)
        return Response(status_code=204)

    async def decide(self, request: Request) -> Response:
        """About this output and those that were ticked; then on to the next."""
        item = await self._shelf.asked(request)
        if request.method == "GET":
            return self._look.back(request, _to(f"/review/{item.path}", request))
        fields = await _typed(request)
        if not (who := name_of(request)):
            return self._nobody(request, where(request))
        if (word := fields.get("decision")) not in (Decision.APPROVE, Decision.REJECT):
            raise InvalidInput("decision", f"is {Decision.APPROVE} or {Decision.REJECT}")
        if word == Decision.APPROVE and fields.get("reason"):
            return await self._page(
                request,
                where(request),
                item,
                revealed=self._shelf.is_revealed(item, fields.get(TOKEN, "")),
                typed=fields,
                status=422,
                said=f"Not approved: the reason {fields['reason']} belongs to a rejection. "
                "Reject it, or take the reason back (its key again, or 0).",
            )
        why = ": ".join(part for name in ("reason", "more") if (part := fields.get(name, "").strip()))
        reviewer = Reviewer(who, why[:REASON_MOST])
        also = [place(value) for value in fields["also"]][:TOGETHER_MOST]
        done, said = await self._decided([(item.ref, item.index), *also], Decision(word), reviewer)
        await self._ledger.reviewers.leave(done or [(item.ref, item.index)])
        on = [(name, value) for name in ("query", "after") if (value := fields.get(name))]
        to = f"/review?{urlencode([*on, *(('was', path(one)) for one in done)])}"
        answer = self._look.back(request, to if done else f"/review/{item.path}", said)
        if done:
            undoing.keep(request, answer, done)
        return answer

    async def undo(self, request: Request) -> Response:
        """Of one decision, and of those that were made with it."""
        await self._shelf.there(request)
        places = [where(request)]
        places += [place(value) for name, value in await forms.fields(request) if name == "also"]
        if not (who := name_of(request)):
            return self._nobody(request, places[0])
        _, said = await self._decided(places[: TOGETHER_MOST + 1], Decision.UNDO, Reviewer(who))
        to = f"/review/{path(places[0])}" if await self._is_held_again(*places[0]) else "/review"
        answer = self._look.back(request, to, said)
        undoing.keep(request, answer, ())
        return answer

    async def _is_held_again(self, ref: Ref, index: int) -> bool:
        """A worker may have to bring it back first, which takes it a moment."""
        for wait in (*_AGAIN, 0):
            record = await self._ledger.reading.still(query.Query(), ref)
            outputs = record.outputs if record else ()
            if any(
                (one.get("index"), one.get("disposition")) == (index, Disposition.HELD) for one in outputs
            ):
                return True
            await asyncio.sleep(wait)
        return False

    async def _decided(
        self, places: Sequence[Place], decision: Decision, reviewer: Reviewer
    ) -> tuple[list[Place], str]:
        """Which of them, and what to say."""
        holders = await self._ledger.reviewers.holders(places)
        done: list[Place] = []
        left: list[str] = []
        for (ref, index), holder in zip(places, holders, strict=True):
            if holder not in (None, reviewer.by):
                left.append(f"output {index} of {ref.id} is with {holder}")
                continue
            try:
                await self._decide_one(ref, index, decision, reviewer)
            except (Conflict, NotFound) as error:
                left.append(str(error))
            else:
                done.append((ref, index))
        count = f"{len(done)} outputs" if len(done) > 1 else "1 output"
        parts = [f"{_SAID[decision]}: {count}."] if done else []
        return done, " ".join([*parts, *(f"Not decided: {why}." for why in left[:3])])

    async def _decide_one(self, ref: Ref, index: int, decision: Decision, reviewer: Reviewer) -> None:
        for wait in _AGAIN:
            try:
                await reviewing.decide(self._ledger, ref, index, decision, reviewer)
            except Conflict:
                record = await self._ledger.reading.still(query.Query(), ref)
                if record is None or record.stage != Stage.WORKING:
                    raise
                await asyncio.sleep(wait)
            else:
                return
        await reviewing.decide(self._ledger, ref, index, decision, reviewer)

    def _nobody(self, request: Request, place: Place) -> Response:
        said = "Say who you are first: every decision and every look is on record."
        return self._look.back(request, f"/review/{path(place)}", said)

    async def _page(
        self,
        request: Request,
        place: Place,
        item: Item,
        *,
        revealed: bool = False,
        typed: Mapping[str, Any] | None = None,
        options: Looks | None = None,
        status: int = 200,
        **more: Any,
    ) -> Response:
        who = name_of(request) if request.state.role is Role.OPERATOR else ""
        current, others = await self._queue.around(_wanted(request), *place)
        holder = await self._ledger.reviewers.take(*place, who) if who and current else None
        looks = [
            one
            for one in await self._ledger.reviewers.looks()
            if (one["source"], one["id"], one["index"]) == (*place[0], place[1])
        ]
        return self._look.page(
            request,
            "review.html",
            status,
            item=item,
            base=f"/review/{item.path}",
            waits=await self._queue.count(),
            current=current,
            strip=_without(others, place)[:STRIP],
            together=[one for one in others if one.why_alike][:TOGETHER_MOST],
            who=who,
            holder=holder if holder != who else None,
            reasons=self._reasons,
            looks=looks[:3],
            undo=undoing.offered(request),
            words=request.query_params.get("query", ""),
            typed=_NOTHING | dict(typed or {}),
            options=options or Looks.of(request),
            kind=item.original.media_type.partition("/")[0],
            seen=await seen(self._shelf, item) if revealed or not item.original.held else None,
            **more,
        )


async def _typed(request: Request) -> dict[str, Any]:
    """What the one form of the page holds: by name, and as `also` all that are ticked."""
    sent = await forms.fields(request)
    return dict(sent) | {"also": [value for name, value in sent if name == "also"]}


def _wanted(request: Request) -> query.Query:
    return query.parse(request.query_params.get("query", ""), clock.now())


def _to(path: str, request: Request) -> str:
    """With what goes on from page to page."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name in ("query", "was")]
    return f"{path}?{urlencode(kept)}" if kept else path


def _without(others: Sequence[Waiting], place: Place) -> list[Waiting]:
    return [one for one in others if (one.item.ref, one.item.index) != place]
