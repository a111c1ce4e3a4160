"""A prediction's timeline as spans of time: when it waited for whom, and who worked on it for how long.

The timeline says instants. A span lies between two of them: at the provider until a completion is accepted,
queued until a worker leases it, at work until its commit, an output being fetched from the verdict on. What
still runs has no end. A replay and a review begin another round of the same.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from service import clock
from service.prediction import Stage, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


class Kind(StrEnum):
    PROVIDER = "provider"
    QUEUED = "queued"
    WORKING = "working"
    FETCHING = "fetching"
    DELIVERING = "delivering"
    WAITING = "waiting"
    """For another attempt."""
    MARK = "mark"
    """An instant and no span."""


@dataclass(frozen=True, slots=True)
class Span:
    """Instants in seconds since the epoch. `lane`: what stands on one line of the picture."""

    kind: Kind
    lane: str
    label: str
    start: float
    end: float | None
    """None while it goes on; of a mark, its start."""
    round: int = 1
    failed: bool = False

    @property
    def seconds(self) -> float | None:
        return None if self.end is None else self.end - self.start


PROVIDER, QUEUE, WORKER = "provider", "queue", "worker"
"""The lanes that every prediction has; others are its outputs and its deliveries."""
_ARRIVED: dict[str, str] = {
    Step.CALLED_BACK: "called back",
    Step.POLLED: "polled",
    Step.RECONCILED: "found in the provider's list",
}
_OUTPUT = re.compile(r"(\d+)(?:: | failed: )(.*)", re.DOTALL)
_MOVED = re.compile(r"\d+ ")
_SAME = 0.002
"""Seconds: lines that were written together were rounded on their own."""


def waterfall(prediction: Mapping[str, Any]) -> list[Span]:
    """Of the public object with its timeline, in the order of their beginnings.

    Its deliveries may have their `history`; of one without, there is its end.
    """
    drawing = _Drawing(prediction)
    drawing.draw()
    rounds = drawing.rounds
    told = [span for one in prediction["deliveries"] for span in _delivery(one)]
    spans = drawing.spans + [replace(span, round=_round_at(rounds, span.start)) for span in told]
    return sorted(spans, key=lambda span: (span.start, math.inf if span.end is None else span.end))


def lanes(spans: Iterable[Span]) -> dict[str, list[Span]]:
    """Lines of the picture from top to bottom: provider, queue, worker, outputs, deliveries."""
    found: dict[str, list[Span]] = {PROVIDER: [], QUEUE: [], WORKER: []}
    ordered = sorted(spans, key=lambda span: span.kind in (Kind.DELIVERING, Kind.WAITING))
    for span in ordered:
        found.setdefault(span.lane, []).append(span)
    return {lane: of for lane, of in found.items() if of}


def _round_at(rounds: Sequence[float], at: float) -> int:
    return max(sum(1 for start in rounds if start <= at), 1)


class _Drawing:
    def __init__(self, prediction: Mapping[str, Any]) -> None:
        self._stage: str = prediction["stage"]
        self._lines: Sequence[Mapping[str, Any]] = prediction["timeline"]
        self._with_history = {
            f"{one['hook']} {one['event']}" for one in prediction["deliveries"] if one.get("history")
        }
        self.spans: list[Span] = []
        self.rounds: list[float] = []
        self._asked: float | None = clock.parse_rfc3339(prediction.get("created_at"))
        """Since when the provider has it, or a worker is waited for."""
        self._complete = False
        self._leased: float | None = None
        self._attempt = 0
        self._begun: dict[str, float] = {}
        """Of each output that this worker has looked at, when it began with it last."""
        self._judged = self._seen = -math.inf
        self._over = False

    def draw(self) -> None:
        instants = [clock.parse_rfc3339(line["at"]) for line in self._lines]
        # Lines of one commit were made before those that came to the ledger meanwhile.
        known = [(at, line) for at, line in zip(instants, self._lines, strict=True) if at is not None]
        for at, line in known:
            if not self.rounds:
                self.rounds.append(at if self._asked is None else min(at, self._asked))
            tell = _DRAWN.get(line["step"], _Drawing.other)
            tell(self, at, line["step"], line["detail"])
            self._seen = max(self._seen, at)
        self._leave_open()

    def _leave_open(self) -> None:
        if self._stage == Stage.WORKING and self._leased is not None:
            self._add(Kind.WORKING, WORKER, f"attempt {self._attempt}", self._leased, None)
        elif self._stage == Stage.ACCEPTED:
            self._give_back()
            self._wait(None)
        elif self._stage == Stage.AWAITED and self._asked is not None:
            self._add(Kind.PROVIDER, PROVIDER, "at the provider", self._asked, None)

    def _add(
        self, kind: Kind, lane: str, label: str, start: float, end: float | None, *, failed: bool = False
    ) -> None:
        # Between two clocks a span may seem to end before it begins.
        until = None if end is None else max(start, end)
        self.spans.append(Span(kind, lane, label, start, until, max(len(self.rounds), 1), failed))

    def _mark(self, lane: str, label: str, at: float, *, failed: bool = False) -> None:
        self._add(Kind.MARK, lane, label, at, at, failed=failed)

    def _go_on(self, at: float) -> None:
        """Something begins anew after an end."""
        if self._over:
            self._over, self._attempt = False, 0
            self.rounds.append(at)

    def _wait(self, end: float | None) -> None:
        if self._asked is None:
            return
        again = self._attempt > 0
        kind, label = (Kind.WAITING, "waits for the next attempt") if again else (Kind.QUEUED, "queued")
        self._add(kind, QUEUE, label, self._asked, end)
        self._asked = None

    def _give_back(self) -> None:
        """Whoever had it has it no more, and said nothing but what he had done so far."""
        if self._leased is None:
            return
        end = max(self._leased, self._seen)
        self._add(Kind.WORKING, WORKER, f"attempt {self._attempt}: given back", self._leased, end)
        self._asked, self._leased = end, None

    def begun(self, at: float, step: str, _: str) -> None:
        self._asked = at if self._asked is None or self._complete else min(self._asked, at)
        self._mark(PROVIDER, step, at)

    def came(self, at: float, step: str, detail: str) -> None:
        label = _ARRIVED[step]
        self._mark(PROVIDER, f"{label}: {detail}" if detail else label, at)

    def accepted(self, at: float, _: str, __: str) -> None:
        self._give_back()
        self._go_on(at)
        if not self._complete and self._asked is not None:
            self._add(Kind.PROVIDER, PROVIDER, "at the provider", min(self._asked, at), at)
        self._complete, self._asked, self._attempt = True, at, 0

    def replayed(self, at: float, _: str, detail: str) -> None:
        if detail.startswith("from deliver"):
            # Nothing but hooks has work by it.
            self.rounds.append(at)
        else:
            self._go_on(at)
            self._asked = at
        self._mark(WORKER, f"replayed {detail}", at)

    def reviewed(self, at: float, _: str, detail: str) -> None:
        if self._over:
            self._go_on(at)
            self._asked = at
        self._mark(WORKER, f"reviewed: {detail}", at)

    def leased(self, at: float, _: str, __: str) -> None:
        self._give_back()
        self._go_on(at)
        self._wait(at)
        self._leased, self._attempt = at, self._attempt + 1
        self._begun, self._judged = {}, at

    def judged(self, at: float, _: str, detail: str) -> None:
        if self._over:
            # A duplicate was stricter: what is in the open goes back to work.
            self._asked = at
        else:
            self._judged = at
        self._mark(WORKER, f"judged: {detail}", at)

    def fetched(self, at: float, _: str, detail: str) -> None:
        said = _OUTPUT.fullmatch(detail)
        if said is None:
            self._mark(WORKER, f"fetched: {detail}", at)
            return
        index, what = said.groups()
        start = self._begun.get(index, self._judged)
        start = at if start == -math.inf else min(start, at)
        self._begun[index] = at
        failed = detail[said.end(1) :].startswith(" failed")
        self._add(Kind.FETCHING, f"output {index}", what, start, at, failed=failed)

    def placed(self, at: float, step: str, detail: str) -> None:
        """Said together with what was fetched, or of a file that only moved."""
        last = self.spans[-1] if self.spans else None
        is_of_it = last and last.kind is Kind.FETCHING and not last.failed and not _MOVED.match(detail)
        if last and is_of_it and last.end is not None and at - last.end <= _SAME:
            self.spans[-1] = replace(last, label=f"{last.label}, {step}")
            return
        self._mark(WORKER, f"{step}: {detail}", at)

    def committed(self, at: float, _: str, detail: str) -> None:
        if self._leased is not None:
            self._add(Kind.WORKING, WORKER, f"attempt {self._attempt}", self._leased, at)
        elif not self._complete and self._asked is not None:
            self._add(Kind.PROVIDER, PROVIDER, "at the provider", self._asked, at, failed=True)
        self._leased = self._asked = None
        self._mark(WORKER, f"committed: {detail}", at, failed=detail in (Stage.DEAD, Stage.EXPIRED))
        self._over = True

    def crashed(self, at: float, _: str, detail: str) -> None:
        label = f"attempt {self._attempt}: the worker {detail or '?'} died"
        if self._leased is None:
            self._mark(WORKER, label, at, failed=True)
        else:
            self._add(Kind.WORKING, WORKER, label, self._leased, at, failed=True)
        self._leased, self._asked, self._complete = None, at, True

    def delivered(self, at: float, _: str, detail: str) -> None:
        whom, _, answer = detail.partition(": ")
        if whom not in self._with_history:
            self._add(Kind.DELIVERING, whom, answer, at, at, failed=answer.startswith("dead"))

    def silent(self, _: float, __: str, ___: str) -> None:
        """Shown by its deliveries."""

    def other(self, at: float, step: str, detail: str) -> None:
        # A newer version may know more steps than we do.
        self._mark(WORKER, f"{step}: {detail}" if detail else step, at)


def _delivery(one: Mapping[str, Any]) -> Iterator[Span]:
    lane = f"{one['hook']} {one['event']}"
    last = clock.parse_rfc3339(one.get("created_at"))
    for attempt in one.get("history") or ():
        start = clock.parse_rfc3339(attempt["at"])
        if start is None:
            continue
        said = attempt["error"] or str(attempt["status"])
        last = start + attempt["ms"] / 1000
        yield Span(Kind.DELIVERING, lane, said, start, last, failed=attempt["error"] is not None)
    if one["state"] == "pending" and last is not None:
        yield Span(Kind.WAITING, lane, "not told yet", last, None)


_DRAWN: dict[str, Callable[[_Drawing, float, str, str], None]] = {
    Step.SUBMITTED: _Drawing.begun,
    Step.TRACKED: _Drawing.begun,
    Step.CALLED_BACK: _Drawing.came,
    Step.POLLED: _Drawing.came,
    Step.RECONCILED: _Drawing.came,
    Step.ACCEPTED: _Drawing.accepted,
    Step.LEASED: _Drawing.leased,
    Step.JUDGED: _Drawing.judged,
    Step.FETCHED: _Drawing.fetched,
    Step.STORED: _Drawing.placed,
    Step.HELD: _Drawing.placed,
    Step.COMMITTED: _Drawing.committed,
    Step.EVENT: _Drawing.silent,
    Step.DELIVERED: _Drawing.delivered,
    Step.REPLAYED: _Drawing.replayed,
    Step.CRASHED: _Drawing.crashed,
    Step.REVIEWED: _Drawing.reviewed,
}
