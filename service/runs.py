"""Bulk runs: a query becomes a list, and exactly that list is worked off, at a pace, each member once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from service import clock
from service.errors import Conflict, InvalidInput
from service.late_log import LateLog
from service.ledger.deliveries import anew
from service.ledger.query import parse, parse_deliveries
from service.ledger.runs import Kind, Left, Order, Turn
from service.prediction import TERMINAL, Ref, Stage
from service.tracing import telling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from service.ledger import DeliveryRecord, Ledger
    from service.ledger.runs import Run
    from service.tracing.span import Span

    Member = tuple[str, str]
    """Of a run, with the instant that its plan tells of it."""

log = LateLog("operator")

MEMBERS_MOST = 100_000
RATE_LEAST, RATE_MOST = 0.001, 10_000.0
_PAGE = 100
_BEAT_EVERY = 5.0
BAD: frozenset[str] = frozenset({Stage.DEAD, Stage.EXPIRED})
"""What became of a member that did not come to a good end; a delivery that is given up is `dead` as well."""
_ENDED = ("delivered", "dead")


class Found(NamedTuple):
    members: Sequence[str]
    """Oldest first."""
    oldest: str | None
    newest: str | None


async def plan(ledger: Ledger, order: Order) -> Run:
    """Look for everything that the order's query finds and that has ended, and write it down.

    Raises InvalidInput as `find`.
    """
    return await write(ledger, order, await find(ledger, order))


async def write(ledger: Ledger, order: Order, found: Found) -> Run:
    """As the plan that somebody may confirm."""
    return await ledger.runs.plan(order, found.members, found.oldest, found.newest, clock.now())


async def find(ledger: Ledger, order: Order) -> Found:
    """Everything that the order's query finds and that has ended.

    Raises InvalidInput for a query, a rate or an amount that cannot be.
    """
    _check_rate(order.rate)
    if not order.query.strip():
        raise InvalidInput("query", "is empty; name what it is to act on, as in stage:dead")
    look = _deliveries if order.kind is Kind.RETRY else _predictions
    found = await look(ledger, order.query, clock.now())
    times = [at for _, at in found if at]
    members = [member for member, _ in reversed(found)]
    return Found(members, min(times, default=None), max(times, default=None))


async def again(ledger: Ledger, run_id: str, rate: float | None = None) -> Run:
    """A run over what another one did not bring to a good end. Raises NotFound, InvalidInput for the rate."""
    run = await ledger.runs.get(run_id)
    _check_rate(run.order.rate if rate is None else rate)
    members = await failures(ledger, run)
    order = replace(run.order, query="", again_of=run.id, rate=run.order.rate if rate is None else rate)
    return await ledger.runs.plan(order, members, run.oldest, run.newest, clock.now())


async def carry_on(
    ledger: Ledger,
    run_id: str,
    *,
    going: Callable[[], bool] = lambda: True,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Run:
    """From where it was until its end, or until `going` says no. Raises NotFound, LedgerDown."""
    run = await ledger.runs.get(run_id)
    position, beat_at, due = run.position, 0.0, time.monotonic()
    if position >= run.total:
        await ledger.runs.beat(run.id, clock.now())
    while position < run.total and going():
        for member in await ledger.runs.members(run.id, position, _PAGE):
            while (wait := due - time.monotonic()) > 0 and going():
                await asyncio.sleep(min(wait, 1.0))
                beat_at = await _beat(ledger, run, beat_at)
            if not going():
                break
            beat_at = await _beat(ledger, run, beat_at)
            due = max(due, time.monotonic()) + 1 / run.order.rate
            await _take_turn(ledger, run, Turn(run.id, position), member)
            position += 1
            progress(position, run.total)
        else:
            # Another may carry it out beside us, and be further.
            position = max(position, (await ledger.runs.get(run.id)).position)
    return await ledger.runs.get(run.id)


async def _beat(ledger: Ledger, run: Run, last: float) -> float:
    if time.monotonic() - last < _BEAT_EVERY:
        return last
    await ledger.runs.beat(run.id, clock.now())
    return time.monotonic()


async def _take_turn(ledger: Ledger, run: Run, turn: Turn, member: str) -> None:
    """One member: looked at anew, and then left alone with a reason, or done in one step with its turn."""
    try:
        if why := await _unfit(ledger, run, member):
            await ledger.runs.settle(turn, Left(member, "skipped", why))
        elif run.order.kind is Kind.RETRY:
            await ledger.deliveries.send_again([member], turn, member)
        else:
            ref = Ref.parse(member)
            await replay(ledger, ref, run.order.step, new_id=run.order.new_id, occasion=run.id, turn=turn)
    except Conflict as error:
        await ledger.runs.settle(turn, Left(member, "failed", str(error)))


async def replay(ledger: Ledger, ref: Ref, step: str, *, new_id: bool, occasion: str, turn: Turn) -> None:
    """One prediction from a step. Raises Conflict for a record that cannot be read."""
    with telling.beginning("replay", ref) as span:
        span.say("catchlight.from", step)
        await _replay(ledger, ref, step, span, new_id=new_id, occasion=occasion, turn=turn)
    log.info("replayed", prediction=str(ref), step=step, run=turn.run or None)


async def _replay(
    ledger: Ledger, ref: Ref, step: str, span: Span, *, new_id: bool, occasion: str, turn: Turn
) -> None:
    if step == "fetch":
        in_trace = f"{span.id():016x}" if span.id() else ""
        await ledger.predictions.replay(ref, turn, new_id=new_id, span=in_trace)
        return
    ids = await ledger.reading.deliveries_of(ref)
    if new_id:
        deliveries = await ledger.reading.deliveries_by_id(ids)
        await ledger.deliveries.send_anew(ref, deliveries, occasion, turn)
        for id_, kind in {anew(ref, one, occasion): one.event for one in deliveries}.items():
            telling.sent(id_, kind)
    else:
        await ledger.deliveries.send_again(ids, turn, str(ref))


async def _unfit(ledger: Ledger, run: Run, member: str) -> str:
    """Why it is not what it was when it was listed; empty when it is."""
    order = run.order
    # The ages in a query are those of when it was asked.
    if order.kind is Kind.RETRY:
        one = await ledger.reading.delivery(member)
        if one is None:
            return "is no longer in the ledger"
        if one.state not in _ENDED:
            return f"is {one.state}: on its way"
        return "" if parse_deliveries(order.query, run.created_at).matches(one) else _changed(order)
    ref = Ref.parse(member)
    standing = (await ledger.reading.standings([ref])).get(ref)
    if standing is None:
        return "is no longer in the ledger"
    if standing.stage not in TERMINAL:
        return f"is {standing.stage}: on its way"
    return "" if await ledger.reading.still(parse(order.query, run.created_at), ref) else _changed(order)


def _changed(order: Order) -> str:
    return f"no longer matches {order.query}"


async def became(ledger: Ledger, run: Run, last: int | None = None) -> dict[str, str]:
    """Where each member stands that was done: a stage, or the state of a delivery; `gone` is forgotten.

    `last`: only of so many that had their turn last.
    """
    first = 0 if last is None else max(0, run.position - last)
    left = {one.member for one in await ledger.runs.left(run.id, -(last or 0))}
    stands: dict[str, str] = {}
    for start in range(first, run.position, _PAGE):
        count = min(_PAGE, run.position - start)
        members = [one for one in await ledger.runs.members(run.id, start, count) if one not in left]
        if run.order.kind is Kind.RETRY:
            found = {one.id: one.state for one in await ledger.reading.deliveries_by_id(members)}
            stands |= {member: found.get(member, "gone") for member in members}
        elif run.order.step == "fetch":
            refs = [Ref.parse(member) for member in members]
            found_at = await ledger.reading.standings(refs) if refs else {}
            stands |= {str(ref): str(found_at[ref].stage) if ref in found_at else "gone" for ref in refs}
        else:
            for member in members:
                ids = await ledger.reading.deliveries_of(Ref.parse(member))
                stands[member] = _worst(await ledger.reading.deliveries_by_id(ids))
    return stands


def _worst(deliveries: Sequence[DeliveryRecord]) -> str:
    states = {one.state for one in deliveries}
    return next((state for state in ("dead", "pending", "delivered") if state in states), "gone")


async def failures(ledger: Ledger, run: Run) -> list[str]:
    """Members that could not be done, or that came to a bad end afterwards, in their order."""
    failed = [one.member for one in await ledger.runs.left(run.id) if one.outcome == "failed"]
    stands = await became(ledger, run)
    return [*failed, *(member for member, word in stands.items() if word in BAD)]


async def shown(ledger: Ledger, run: Run) -> dict[str, Any]:
    """Its public object with what it left and what became of the rest."""
    stands = await became(ledger, run)
    return run.public(clock.now()) | {
        "became": dict(Counter(stands.values())),
        "left": [one._asdict() for one in await ledger.runs.left(run.id)],
    }


async def _predictions(ledger: Ledger, query: str, now: float) -> list[Member]:
    """Those that have ended: what is still on its way needs no push. Newest first, with when they ended."""
    wanted = parse(query, now)

    def ended(item: Mapping[str, Any]) -> Member | None:
        ref = str(Ref(item["source"], item["id"]))
        return (ref, item["finished_at"] or "") if item["stage"] in TERMINAL else None

    return await _all(lambda cursor: ledger.reading.page(wanted, _PAGE, cursor), ended)


async def _deliveries(ledger: Ledger, query: str, now: float) -> list[Member]:
    """Those that are over, with when they were made."""
    wanted = parse_deliveries(query, now)

    def ended(item: Mapping[str, Any]) -> Member | None:
        return (item["id"], item["created_at"] or "") if item["state"] in _ENDED else None

    return await _all(lambda cursor: ledger.reading.deliveries(_PAGE, cursor, wanted), ended)


async def _all(
    page: Callable[[str | None], Awaitable[tuple[list[dict[str, Any]], str | None]]],
    member: Callable[[Mapping[str, Any]], Member | None],
) -> list[Member]:
    """Of all pages. Raises InvalidInput for too many."""
    found: list[Member] = []
    cursor: str | None = None
    while True:
        items, cursor = await page(cursor)
        found += filter(None, map(member, items))
        if len(found) > MEMBERS_MOST:
            raise InvalidInput(
                "query", f"finds more than {MEMBERS_MOST:,}; narrow it, as with since: and until:"
            )
        if cursor is None:
            return found


def _check_rate(rate: float) -> None:
    if not RATE_LEAST <= rate <= RATE_MOST:
        raise InvalidInput("rate", f"is a number per second, from {RATE_LEAST:g} to {RATE_MOST:,.0f}")
