"""What bounds it now? The first of these that holds, in the order in which one would hide the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.capacity import jobs
from service.capacity.verdict import ELSEWHERE, Bound, Verdict
from service.ledger.server import ADMIT_BELOW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.capacity.facts import Facts

    Look = Callable[[Facts], Verdict | None]

LATE = 2.0
"""Seconds beyond its due time from which on something waits for us, and not we for it."""
SLOW_WRITE = 0.05
"""Seconds that a beat takes to be written where Redis does not say what its log costs."""
POLLS_WAIT = 5.0
"""Seconds' worth of polls that are due at once."""


def judge(facts: Facts) -> Verdict:
    for look in _WHATEVER_WAITS:
        if verdict := look(facts):
            return verdict
    if not waits(facts):
        return _nothing(facts)
    for look in _WHILE_IT_WAITS:
        if verdict := look(facts):
            return verdict
    why = "what waits is for later: retries that are not due, or work that was handed out this moment"
    return Verdict(Bound.NOTHING, why, "catchlight status says more of it; look again in a minute")


def waits(facts: Facts) -> bool:
    """Something is later than it should be, or more is there than there are places, and all are taken."""
    late = float(facts.scaling["oldest_due_seconds"]) > LATE
    return late or (bool(facts.scaling["waiting"]) and jobs.is_full(facts))


def _nothing(facts: Facts) -> Verdict:
    if not facts.rates.arriving and not facts.scaling["backlog"]:
        why = "idle: nothing arrives and nothing waits"
        return Verdict(Bound.NOTHING, why, "nothing; more of anything would be idle, too")
    shares = _shares(facts)
    busiest = max(shares, key=lambda name: shares[name])
    why = f"it keeps up with what arrives; the busiest is {busiest}, at {shares[busiest]:.0%}"
    return Verdict(Bound.NOTHING, why, f"nothing; at more load {busiest} comes first")


def _shares(facts: Facts) -> Mapping[str, float]:
    """How much of each is used that more load would use up."""
    return {
        "a worker's loop": facts.busiest("work").busy,
        "the places of the workers": facts.mean("in_flight") / facts.slots if facts.slots else 0.0,
        "a receiver's loop": facts.busiest("serve").busy,
        "Redis": facts.redis.busy,
    }


def _memory(facts: Facts) -> Verdict | None:
    if facts.server.share <= ADMIT_BELOW:
        return None
    why = f"{facts.server.share:.0%} of Redis' memory are used: above {ADMIT_BELOW:.0%} nothing new is taken"
    step = "give Redis more memory, or keep less: catchlight prune --dry-run, CATCHLIGHT_RETENTION"
    return Verdict(Bound.REDIS_MEMORY, why, step)


def _no_worker(facts: Facts) -> Verdict | None:
    if facts.of("work"):
        return None
    waiting = facts.scaling["backlog"]
    why = f"no worker is alive, and {waiting} things wait" if waiting else "no worker is alive"
    return Verdict(Bound.NO_WORKER, why, "catchlight work", process=True, machine=True)


def _receiver(facts: Facts) -> Verdict | None:
    """Before all that waits: what a receiver is too slow for is not even written down yet."""
    busiest = facts.busiest("serve")
    if busiest.busy < jobs.BUSY:
        return None
    why = f"a receiver's loop is busy {busiest.busy:.0%} of the time, and {busiest.lag * 1000:.0f} ms late"
    if busiest.starved >= jobs.STARVED:
        return Verdict(Bound.RECEIVER_CPU, f"{why}: its cores are taken", ELSEWHERE, machine=True)
    return Verdict(Bound.RECEIVER_CPU, why, "catchlight serve --processes 2", process=True, machine=True)


def _storage_refuses(facts: Facts) -> Verdict | None:
    troubled = [one for one in facts.of("work") if one.said.trouble]
    if len(troubled) < len(facts.of("work")):
        return None
    return Verdict(Bound.STORAGE, troubled[0].said.trouble, "catchlight doctor")


def _redis(facts: Facts) -> Verdict | None:
    redis, wrote = facts.redis, min((one.said.wrote_in or 0.0 for one in facts.roles), default=0.0)
    writing = redis.writing or 0.0
    shards = "or spread the sources over several Redis: [[shards]]"
    if redis.busy >= jobs.BUSY and writing < redis.cpu:
        why = f"Redis runs {redis.cpu:.0%} of one core, with {redis.scripts:.0f} scripts a second"
        return Verdict(Bound.REDIS_CPU, why, f"give Redis a faster core of its own, {shards}")
    if redis.busy >= jobs.BUSY or (redis.writing is None and wrote >= SLOW_WRITE):
        known = redis.writing is not None
        share = f"{writing:.0%} of its time" if known else f"{wrote * 1000:.0f} ms a write"
        why = f"Redis waits for its disk: its log takes {share}"
        step = f"put Redis' log on a faster disk that it shares with nobody, {shards}"
        return Verdict(Bound.FSYNC, why, step)
    return None


def _polls(facts: Facts) -> Verdict | None:
    due = facts.scaling["due"]
    if not facts.poll_rate or due < POLLS_WAIT * facts.poll_rate:
        return None
    why = f"{due} polls are due, and {facts.poll_rate:g} a second are allowed"
    lost = facts.rates.recovered / facts.rates.arriving if facts.rates.arriving else 0.0
    step = "raise CATCHLIGHT_POLL_RATE if the provider allows it"
    if lost >= jobs.MOST:
        step = f"{lost:.0%} of completions came without a callback: catchlight refused, and connect, say why"
    return Verdict(Bound.POLL_RATE, why, step)


_WHATEVER_WAITS: tuple[Look, ...] = (_memory, _no_worker, _receiver)
_WHILE_IT_WAITS: tuple[Look, ...] = (
    _storage_refuses,
    _redis,
    jobs.no_core,
    jobs.worker_cpu,
    jobs.many_bytes,
    jobs.one_host,
    jobs.places,
    jobs.hooks,
    _polls,
    jobs.origin_fails,
    jobs.worker_threads,
)
