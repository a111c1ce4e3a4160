"""What bounds the workers: what their jobs wait for, and what holds them back before they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.capacity.verdict import ELSEWHERE, Bound, Verdict
from service.effort.told import HOOK, TURNED_BY_PLACES, TURNED_BY_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.capacity.facts import Facts

BUSY = 0.85
"""Of one core: with more a loop or a Redis has a queue before it whatever comes."""
STARVED = 0.25
"""Of the time for which a loop waits for a core: then another process would wait beside it."""
LAGS = 0.05
"""Seconds that a loop is late on average: from there on one that is busy for half of the time is too busy."""
FULL = 0.75
"""Of the time for which all places of a worker are taken."""
MOST = 0.5
"""Of what is in flight: most of it waits for the same."""
WAITING = 0.2
"""Of what is in flight: from that share on those that wait for a place are no accident."""
SLOTS_MANY = 256
"""Places of a worker from which on more of them do not help against a slow origin."""
TURNED = 0.2
"""Deliveries a second that a hook's gate sends back in line."""
RAISED_MOST = 4.0
"""Times as many places that are advised at once."""

_QUICKER = "let the hook answer before it does its work, or raise its `concurrency`: its attempts take places"


def is_full(facts: Facts) -> bool:
    efforts = facts.efforts("work")
    return bool(efforts) and sum(effort.mean("full") for effort in efforts) >= FULL * len(efforts)


def no_core(facts: Facts) -> Verdict | None:
    """Whatever its loop waits for otherwise: a core that others have is what it lacks first.

    With all places taken, only when that is most of its time: an idle loop, too, waits for one now and then.
    """
    starved = _mean(effort.starved for effort in facts.efforts("work"))
    if starved < (MOST if is_full(facts) else STARVED):
        return None
    why = f"the workers' loops wait {starved:.0%} of the time for a core, all of which are taken"
    return Verdict(Bound.WORKER_CPU, why, ELSEWHERE, machine=True)


def worker_cpu(facts: Facts) -> Verdict | None:
    efforts = facts.efforts("work")
    busy = [one for one in efforts if one.busy >= BUSY or (one.lag >= LAGS and one.busy >= MOST)]
    if not busy or len(busy) < len(efforts) / 2:
        return None
    share, late = _mean(one.busy for one in busy), _mean(one.lag for one in busy)
    why = f"the loop of {len(busy)} of {len(efforts)} workers is busy {share:.0%} of the time"
    return Verdict(
        Bound.WORKER_CPU, f"{why} and {late * 1000:.0f} ms late", _one_more(facts), process=True, machine=True
    )


def worker_threads(facts: Facts) -> Verdict | None:
    """When nothing else explains it: taking jobs and keeping their books are threads beside the loop, and of
    all of them one runs at a time.
    """
    used = _mean(effort.cpu + effort.starved for effort in facts.efforts("work"))
    if used < BUSY:
        return None
    why = f"a worker's threads use {used:.0%} of one core, and only one of them runs at a time"
    return Verdict(Bound.WORKER_CPU, why, _one_more(facts), process=True, machine=True)


def _one_more(facts: Facts) -> str:
    return f"catchlight work --processes {len(facts.of('work')) + 1}, while cores are free"


def _mean(amounts: Iterable[float]) -> float:
    known = list(amounts)
    return sum(known) / len(known) if known else 0.0


def many_bytes(facts: Facts) -> Verdict | None:
    waiting = facts.mean("for_bytes")
    if not waiting or waiting < WAITING * facts.mean("in_flight"):
        return None
    size, most = _mib(facts.mean("bytes")), _mib(facts.mean("bytes_most"))
    why = f"{waiting:.1f} downloads wait because {size} of {most} are on their way"
    step = "raise CATCHLIGHT_FETCH_IN_FLIGHT if the workers have the memory, or start another worker"
    return Verdict(Bound.FETCH_IN_FLIGHT, why, step, process=True, machine=True)


def one_host(facts: Facts) -> Verdict | None:
    waiting = facts.mean("for_host")
    if not waiting or waiting < WAITING * facts.mean("in_flight"):
        return None
    why = f"{waiting:.1f} downloads wait for others from the same host"
    step = "raise CATCHLIGHT_FETCH_PER_HOST if that host can do more; if as much is done as before, it cannot"
    return Verdict(Bound.FETCH_PER_HOST, why, step, process=True, machine=True)


def places(facts: Facts) -> Verdict | None:
    if not is_full(facts):
        return None
    flying, waiting = facts.mean("in_flight"), waits_for(facts)
    most = max(waiting, key=lambda name: waiting[name])
    why = f"all {facts.slots} places are taken, and {waiting[most]:.1f} of {flying:.1f} jobs wait for {most}"
    is_most = waiting[most] >= MOST * flying
    if most == "storage" and is_most:
        step = "a faster disk or store for CATCHLIGHT_STORAGE_URL; a worker with a disk of its own would help"
        return Verdict(Bound.STORAGE, why, step, machine=True)
    if most.startswith("the hook ") and is_most:
        return Verdict(Bound.HOOK, why, _QUICKER, process=True, machine=True)
    each = facts.slots // len(facts.of("work"))
    if most == "the origin" and each >= SLOTS_MANY:
        step = "more places would wait, too: look at the origin's latency, and at the network to it"
        return Verdict(Bound.ORIGIN, why, step, machine=True)
    step = f"raise CATCHLIGHT_CONCURRENCY from {each} to {_raised(facts, each)}"
    step += f"; if as much is done as before, {most} is what bounds it"
    return Verdict(Bound.CONCURRENCY, why, step, process=True, machine=True)


def waits_for(facts: Facts) -> dict[str, float]:
    """Jobs in flight by what they wait for. Who has a download and waits for no byte of it, writes it."""
    origin, opinion = facts.mean("origin"), facts.mean("opinion")
    storage = max(0.0, facts.mean("downloads") - origin - opinion) + facts.mean("manifests")
    hooks = {f"the hook {name}": n for name, n in _by_hook(facts, HOOK, rates=False).items()}
    rest = facts.mean("in_flight") - origin - opinion - storage - sum(hooks.values())
    own = {"the origin": origin, "storage": storage, "the second opinion": opinion, "Redis": max(0.0, rest)}
    return own | hooks


def hooks(facts: Facts) -> Verdict | None:
    if not facts.scaling["deliveries_due"]:
        return None
    by_rate = _by_hook(facts, TURNED_BY_RATE, rates=True)
    by_places = _by_hook(facts, TURNED_BY_PLACES, rates=True)
    turned = {hook: by_rate.get(hook, 0.0) + by_places.get(hook, 0.0) for hook in by_rate | by_places}
    hook = max(turned, key=lambda name: turned[name], default="")
    if not hook or turned[hook] < TURNED:
        return None
    if by_rate.get(hook, 0.0) >= by_places.get(hook, 0.0):
        allowed = f", {facts.hook_rates[hook]:g} a second in each worker" if hook in facts.hook_rates else ""
        why = f"the hook {hook} is told as often as its rate allows{allowed}"
        step = f"raise `rate` of the hook {hook} if it can take more; another worker would send as much again"
        return Verdict(Bound.HOOK_RATE, why, step)
    slow = _by_hook(facts, HOOK, rates=False).get(hook, 0.0)
    why = f"the hook {hook} is slow: {slow:.1f} attempts wait for its answer, and others go back in line"
    return Verdict(Bound.HOOK, why, _QUICKER, process=True, machine=True)


def origin_fails(facts: Facts) -> Verdict | None:
    failed, kept = facts.rate("fetches_failed"), facts.rate("outputs")
    if not failed or failed < kept:
        return None
    why = f"{failed:.2g} downloads a second fail, and {kept:.2g} succeed: what waits is tried again later"
    return Verdict(Bound.ORIGIN, why, "catchlight ls stage:accepted, and explain one of them")


def _by_hook(facts: Facts, prefix: str, *, rates: bool) -> dict[str, float]:
    """All workers together."""
    found: dict[str, float] = {}
    for effort in facts.efforts("work"):
        for name, amount in (effort.rates if rates else effort.means).items():
            if name.startswith(prefix):
                hook = name.removeprefix(prefix)
                found[hook] = found.get(hook, 0.0) + amount
    return found


def _raised(facts: Facts, each: int) -> int:
    """As many as the loop has time for, and not too many at once: each has its share of memory, too."""
    busy = max(facts.busiest("work").busy, 0.01)
    return max(each + 1, min(SLOTS_MANY, int(each * min(RAISED_MOST, BUSY / busy))))


def _mib(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"
