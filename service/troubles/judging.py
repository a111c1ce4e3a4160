"""Is all well? A judgement of what the ledger says, worst first, each trouble with what ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import clock, comparing
from service.hooks.standing import State as HookState
from service.ledger.durability import State
from service.ledger.roles import CLOCKS_APART
from service.ledger.server import ADMIT_BELOW
from service.telling.spans import span
from service.troubles.trouble import Button, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.ledger.roles import Alive
    from service.troubles.facts import Facts

ROLES = {"serve": "receiver", "work": "worker", "sweep": "sweeper"}
FORGED_MANY = 20
LATE_AFTER = 30.0
"""Seconds beyond its due time after which waiting is a sign that something is wrong or too small."""
FAILING_AFTER = 60.0
"""Seconds for which a hook fails before that is more than a hiccup: the first two retries may have passed."""
FETCHES_FAILED = 10
FILLING_AT = 0.65
"""Of Redis' memory: where nothing new is taken any more (`ledger/lua/prelude.lua`), and a while before."""
_COMPARED_LATE = 3
"""Times the interval of reconciling, and at least a quarter of an hour."""
_COMPARED_LATE_LEAST = 900.0

_MORE_WORK = "catchlight work --processes 2"


def missing(facts: Facts) -> list[str]:
    alive = {one.role for one in facts.roles}
    return [role for role in ROLES if role not in alive]


def judge(facts: Facts) -> list[Trouble]:
    """Troubles only, worst first; one that fails makes the whole unhealthy."""
    troubles = [
        *_of_redis(facts),
        *_of_roles(facts),
        *_of_storage(facts),
        *_of_fetches(facts),
        *_of_deletions(facts),
        *_of_secrets(facts),
        *_of_lateness(facts),
        *_of_hooks(facts),
        *_of_the_dead(facts),
        *_of_reconciling(facts),
        *_of_promises(facts),
        *_of_settings(facts),
    ]
    return sorted(troubles, key=lambda one: one.state is not State.FAIL)


def _of_redis(facts: Facts) -> Iterator[Trouble]:
    server = facts.server
    if server.is_replica:
        detail = "Redis is a replica and takes no write: callbacks are answered 503"
        yield Trouble("redis.replica", State.FAIL, detail, "catchlight doctor")
    if server.unwritten:
        detail = f"Redis cannot write {server.unwritten}: callbacks are answered 503 until its disk has room"
        yield Trouble("redis.write", State.FAIL, detail, "catchlight doctor")
    if server.share > ADMIT_BELOW:
        detail = f"{server.share:.0%} of Redis' memory are used: above {ADMIT_BELOW:.0%} nothing new is taken"
        yield Trouble("redis.memory", State.FAIL, detail, "catchlight prune --dry-run")
    elif server.share > FILLING_AT:
        detail = f"{server.share:.0%} of Redis' memory are used; above {ADMIT_BELOW:.0%} nothing new is taken"
        yield Trouble("redis.memory", State.WARN, detail, "catchlight prune --dry-run")
    if abs(server.ahead) > CLOCKS_APART:
        word = "ahead of" if server.ahead > 0 else "behind"
        detail = (
            f"Redis' clock is {span(abs(server.ahead))} {word} this one: genuine callbacks may look stale"
        )
        yield Trouble("clock", State.WARN, detail, "catchlight doctor")


def _of_roles(facts: Facts) -> Iterator[Trouble]:
    waits = bool(facts.scaling["backlog"] or facts.scaling["awaited"])
    for role in missing(facts):
        detail = f"no {ROLES[role]} is alive" + (" while work waits" if waits else "")
        state = State.FAIL if waits else State.WARN
        button = Button("See who is alive", "/workers")
        yield Trouble(f"role.{role}", state, detail, f"catchlight {role}", button)


def _of_storage(facts: Facts) -> Iterator[Trouble]:
    """As those say who write to it."""
    workers = [one for one in facts.roles if one.role == "work"]
    troubled = [one for one in workers if one.said.trouble]
    if troubled:
        state = State.FAIL if len(troubled) == len(workers) else State.WARN
        of = "" if len(workers) == 1 else f" (says {len(troubled)} of {len(workers)} workers)"
        detail = f"{troubled[0].said.trouble}{of}"
        yield Trouble("storage", state, detail, "catchlight doctor", Button("See the workers", "/workers"))
    if places := _apart(workers):
        detail = (
            f"the workers store in {len(places)} places ({', '.join(places)}), none of which has all files: "
            "give all of them one bucket, or one directory that all machines mount"
        )
        button = Button("See the workers", "/workers")
        yield Trouble("storage.apart", State.WARN, detail, "catchlight config show", button)


def _apart(workers: Sequence[Alive]) -> list[str]:
    """A worker of each place where some store; none when they share one."""
    firsts = {one.said.place: one.instance for one in reversed(workers) if one.said.place}
    return sorted(firsts.values()) if len(firsts) > 1 else []


def _of_fetches(facts: Facts) -> Iterator[Trouble]:
    """As the alert has it: a few that fail are every day's."""
    found = facts.fetches
    if found and found.failed > FETCHES_FAILED and found.failed > found.kept:
        detail = (
            f"{found.failed} fetches of outputs failed in the last {span(found.seconds)}, "
            f"and {found.kept} succeeded: outputs are given up"
        )
        button = Button("Show what waits", "/predictions?query=stage%3Aaccepted")
        yield Trouble("fetches", State.FAIL, detail, "catchlight ls stage:accepted", button)


def _of_deletions(facts: Facts) -> Iterator[Trouble]:
    nearest = facts.scaling.get("nearest_deletion_seconds")
    if nearest is not None and nearest < facts.urgent_within:
        detail = f"the provider deletes outputs that still wait here in {span(nearest)}"
        button = Button("Show what waits", "/predictions?query=stage%3Aaccepted")
        yield Trouble("deletion", State.WARN, detail, _MORE_WORK, button)


def _of_secrets(facts: Facts) -> Iterator[Trouble]:
    for one in facts.secrets:
        if one["state"] == comparing.State.DRIFTED:
            remedy = comparing.remedy(one["source"])
            yield Trouble("secret", State.FAIL, one["detail"], remedy, Button("Open set-up", "/setup"))
    if facts.forged >= FORGED_MANY:
        detail = f"the signature of at least {facts.forged} callbacks did not hold in the last hour"
        button = Button("Show them", "/refused")
        yield Trouble("refused", State.WARN, detail, "catchlight refused", button)


def _of_lateness(facts: Facts) -> Iterator[Trouble]:
    if (late := facts.scaling["oldest_due_seconds"]) > LATE_AFTER:
        detail = f"the oldest thing due has waited for {span(late)} beyond its time"
        yield Trouble("late", State.WARN, detail, _MORE_WORK, Button("See the workers", "/workers"))


def _of_hooks(facts: Facts) -> Iterator[Trouble]:
    for one in facts.hooks:
        name, seconds = one.name, facts.now - (one.since or facts.now)
        if one.state is HookState.DISABLED:
            detail = f"the hook {name} is disabled ({one.why}); what is for it waits"
            button = Button(f"Enable {name}", f"/hooks/{name}/enable", posts=True)
            yield Trouble("hooks", State.WARN, detail, f"catchlight hooks enable {name}", button)
        elif one.state is HookState.PARKED or (one.state is HookState.FAILING and seconds > FAILING_AFTER):
            wait = "delivery waits" if one.parked == 1 else "deliveries wait"
            probed = f", and is only probed: {one.parked} {wait} for it" if one.parked else ""
            detail = f"the hook {name} has taken nothing for {span(seconds)} ({one.told}){probed}"
            button = Button(f"Open {name}", f"/hooks/{name}")
            state = State.FAIL if one.parked else State.WARN
            yield Trouble("hooks.failing", state, detail, f"catchlight hooks test {name}", button)


def _of_the_dead(facts: Facts) -> Iterator[Trouble]:
    if dead := facts.stages.get("dead", 0):
        detail = f"{dead} prediction{'s are' if dead > 1 else ' is'} dead"
        button = Button("Plan a replay", "/runs/new?kind=replay&from=fetch&query=stage%3Adead")
        yield Trouble("dead", State.WARN, detail, "catchlight replay stage:dead --dry-run", button)
    if facts.died > 0:
        were = "delivery was" if facts.died == 1 else "deliveries were"
        detail = f"{facts.died} {were} given up in the last day"
        button = Button("Plan to send them again", "/runs/new?kind=retry&query=state%3Adead")
        fix = "catchlight deliveries retry state:dead --dry-run"
        yield Trouble("deliveries.dead", State.WARN, detail, fix, button)
    if facts.server.aside:
        detail = f"{facts.server.aside} unreadable or foreign jobs are set aside"
        yield Trouble("jobs", State.WARN, detail, "catchlight doctor", Button("See the workers", "/workers"))


def _of_reconciling(facts: Facts) -> Iterator[Trouble]:
    """The sweeper keeps a report of each look that succeeds."""
    if not facts.reconcile_every:
        return
    late = max(facts.reconcile_every * _COMPARED_LATE, _COMPARED_LATE_LEAST)
    for one in facts.drifts:
        since = facts.now - (clock.parse_rfc3339(one["at"]) or facts.now)
        if since > late:
            detail = f"the provider's list of {one['source']} was last compared with ours {span(since)} ago"
            yield Trouble("reconciled", State.WARN, detail, "catchlight reconcile --since 24h")


def _of_promises(facts: Facts) -> Iterator[Trouble]:
    for one in facts.server.promises:
        # That a server does not show its settings, as many that are rented, nobody here can end.
        if one.state is State.FAIL:
            yield Trouble(
                one.name, State.WARN, one.detail, "catchlight doctor", Button("Open set-up", "/setup")
            )


def _of_settings(facts: Facts) -> Iterator[Trouble]:
    for warning in facts.warnings:
        button = Button("Open settings", "/settings")
        yield Trouble("settings", State.WARN, warning, "catchlight config show", button)
