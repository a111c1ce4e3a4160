"""What happened to a prediction in as few words as it takes: its timeline, told chapter by chapter."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from service import clock
from service.prediction import Step
from service.telling.spans import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

AT_ONCE = 0.05
_FOUND: dict[str, str] = {Step.POLLED: "found by poll", Step.RECONCILED: "found in the provider's list"}
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def clauses(prediction: Mapping[str, Any], now: float) -> list[str]:
    """Of the public object with its timeline; `now` in seconds since the epoch."""
    return _Telling(prediction, now).told()


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    teens = number % 100 in range(11, 14)
    return f"{number}{'th' if teens else _ORDINALS.get(number % 10, 'th')}"


class _Telling:
    def __init__(self, prediction: Mapping[str, Any], now: float) -> None:
        self._timeline: Sequence[Mapping[str, Any]] = prediction["timeline"]
        self._attempts = _attempts(prediction)
        self._created = clock.parse_rfc3339(prediction.get("created_at"))
        self._now = now
        self._clauses: list[str] = []
        self._before: float | None = None
        self._day = clock.rfc3339(now)[:10]
        self._arrived_by = ""
        self._called_back = self._completed = False
        self._again = self._leases = self._at = 0
        self._troubles: Counter[str] = Counter()
        self._kept: Counter[str] = Counter()

    def told(self) -> list[str]:
        for number, entry in enumerate(self._timeline):
            self._at = number
            at = clock.parse_rfc3339(entry["at"]) or self._now
            tell = _CHAPTERS.get(entry["step"], _Telling.other)
            tell(self, at, entry["step"], entry["detail"])
        if self._again:
            times = "once more" if self._again == 1 else f"{self._again} times more"
            self._clauses.append(f"the callback came {times} and changed nothing")
        return self._clauses

    def _say(self, what: str, at: float) -> None:
        """With its time, and how long after what was told before."""
        later = ""
        if self._before is not None:
            later = ", at once" if at - self._before < AT_ONCE else f", {span(at - self._before)} later"
        self._clauses.append(f"{what} {self._time(at)}{later}")
        self._before = at

    def _time(self, at: float) -> str:
        day, time = clock.rfc3339(at)[:10], clock.rfc3339(at)[11:19]
        same, self._day = day == self._day, day
        return time if same else f"{day} {time}"

    def begun(self, at: float, step: str, _: str) -> None:
        self._say(step, at)

    def came(self, at: float, step: str, detail: str) -> None:
        """A callback, a poll or a look at the list; whether it brought the completion shows later."""
        self._arrived_by = step
        if step != Step.CALLED_BACK:
            return
        self._called_back = True
        if detail == "outside the tolerance":
            self._created_first()
            self._say("a callback came too old to be believed", at)
        elif self._completed:
            self._again += 1

    def _created_first(self) -> None:
        """Where nobody submitted it through us, it begins at the provider."""
        if self._before is None and self._created is not None:
            self._say("created at the provider", self._created)

    def accepted(self, at: float, _: str, detail: str) -> None:
        self._created_first()
        by = _FOUND.get(self._arrived_by)
        if by and not self._called_back:
            self._clauses.append("no callback")
        if self._completed and not by:
            # It did change something: a completion that supersedes a failure.
            self._again -= 1
        self._completed = True
        ended = "" if detail in ("", "completed") else f" as {detail}"
        self._say(f"{by or 'called back'}{ended}", at)

    def leased(self, _: float, __: str, ___: str) -> None:
        self._leases += 1

    def fetched(self, _: float, __: str, detail: str) -> None:
        if " failed: " in detail:
            self._troubles[detail.partition(" failed: ")[2]] += 1

    def crashed(self, _: float, __: str, detail: str) -> None:
        self._troubles[f"the worker {detail or '?'} died with it"] += 1

    def placed(self, _: float, step: str, __: str) -> None:
        self._kept[step] += 1

    def committed(self, at: float, _: str, detail: str) -> None:
        kept = ", ".join(f"{count} {step}" for step, count in self._kept.items())
        troubles = "; ".join(
            f"{what}{'' if count == 1 else f' ({count} times)'}" for what, count in self._troubles.items()
        )
        tries = f" at the {ordinal(self._leases)} attempt" if self._leases > 1 else ""
        after = f" (before: {troubles})" if troubles else ""
        self._say(f"{detail}{tries}{after}" + (f" with {kept}" if kept else ""), at)
        self._leases = 0
        self._troubles.clear()
        self._kept.clear()

    def delivered(self, at: float, _: str, detail: str) -> None:
        whom, _, answer = detail.partition(": ")
        hook, _, event = whom.partition(" ")
        tries = self._attempts.get(self._at, 1)
        how = "" if tries == 1 else f" at the {ordinal(tries)} attempt"
        if answer.startswith("dead"):
            self._say(f"gave up telling {hook} of {event}{how} ({answer.removeprefix('dead, ')})", at)
        else:
            self._say(f"{hook} told of {event}{how}", at)

    def detailed(self, at: float, step: str, detail: str) -> None:
        """A person's or a stranger's own words are told as they are."""
        self._say(_SAYS[step].format(detail or "?"), at)

    def other(self, at: float, step: str, detail: str) -> None:
        # A newer version may know more steps than we do.
        self._say(f"{step}: {detail}" if detail else step, at)

    def silent(self, _: float, __: str, ___: str) -> None:
        """Told by what it leads to."""


def _attempts(prediction: Mapping[str, Any]) -> dict[int, int]:
    """By place in the timeline, of how many attempts that telling was; of those that nobody knows, nothing.

    A delivery counts the attempts of its last telling only, and that has to be over.
    """
    last: dict[str, int] = {}
    for number, entry in enumerate(prediction["timeline"]):
        if entry["step"] == Step.DELIVERED:
            last[entry["detail"].partition(": ")[0]] = number
    whom = Counter(f"{one['hook']} {one['event']}" for one in prediction["deliveries"])
    return {
        last[name]: one["attempts"]
        for one in prediction["deliveries"]
        # Of several of one name, told under other ids, it cannot be said which that was.
        if (name := f"{one['hook']} {one['event']}") in last
        and whom[name] == 1
        and one["state"] != "pending"
        and one["attempts"]
    }


_SAYS: dict[str, str] = {
    Step.REPLAYED: "replayed {}",
    Step.CONTRADICTED: "contradicted ({})",
    Step.REVIEWED: "a person reviewed it: {}",
    Step.CONFLICT: "another file stood in the way ({})",
}
_CHAPTERS: dict[str, Callable[[_Telling, float, str, str], None]] = {
    Step.SUBMITTED: _Telling.begun,
    Step.TRACKED: _Telling.begun,
    Step.CALLED_BACK: _Telling.came,
    Step.POLLED: _Telling.came,
    Step.RECONCILED: _Telling.came,
    Step.ACCEPTED: _Telling.accepted,
    Step.LEASED: _Telling.leased,
    Step.FETCHED: _Telling.fetched,
    Step.JUDGED: _Telling.silent,
    Step.STORED: _Telling.placed,
    Step.HELD: _Telling.placed,
    Step.COMMITTED: _Telling.committed,
    Step.EVENT: _Telling.silent,
    Step.DELIVERED: _Telling.delivered,
    Step.CRASHED: _Telling.crashed,
    **dict.fromkeys(_SAYS, _Telling.detailed),
}
