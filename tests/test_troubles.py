"""What is judged to be wrong, in which order, and what ends each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service import clock as real_clock
from service import troubles
from service.comparing import State as Compared
from service.hooks import Dead, Parked, Retry
from service.hooks.standing import Standing
from service.hooks.standing import State as HookState
from service.ledger.durability import Finding, State
from service.ledger.roles import Alive, Said
from service.ledger.server import Server
from service.settings import Settings
from service.throughput import Fetches
from service.troubles import ROLES, Facts, judge
from tests.builders import accept, callback, completed, deliveries, finish, hook

if TYPE_CHECKING:
    from service.ledger import Ledger

NOW = 1_800_000_000.0
EVERYBODY = [Alive(role, "i", NOW) for role in ROLES]
IDLE: dict[str, Any] = {"backlog": 0, "awaited": 0, "oldest_due_seconds": 0.0}
WELL = Facts(NOW, EVERYBODY, stages={}, scaling=IDLE, tally={})
SHORT = Alive("work", "w1", NOW, NOW, Said(0, "no room: 0 bytes of the disk are free; nothing is fetched"))
HERE, THERE = (Alive("work", f"w-{place}", NOW, NOW, Said(0, place=place)) for place in ("here", "there"))
HALF = Server(used=50, most=100)


def an_hour_ago() -> str:
    return real_clock.rfc3339(NOW - 3600)


def waiting(**more: float | None) -> dict[str, Any]:
    return IDLE | more


def test_when_all_is_well_there_is_nothing_to_say() -> None:
    assert judge(WELL) == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("waits", "state"),
    [({}, State.WARN), ({"backlog": 1}, State.FAIL), ({"awaited": 1}, State.FAIL)],
    ids=["idle", "backlog", "awaited"],
)
def test_a_missing_role_fails_only_while_work_waits(role: str, waits: dict[str, int], state: State) -> None:
    others = [one for one in EVERYBODY if one.role != role]
    (problem,) = judge(replace(WELL, roles=others, scaling=IDLE | waits))
    assert (problem.state, problem.fix) == (state, f"catchlight {role}")


def test_workers_that_share_a_place_or_do_not_tell_are_nothing_to_speak_of() -> None:
    assert judge(replace(WELL, roles=[*EVERYBODY, HERE, replace(HERE, instance="w-2")])) == []


WARNINGS = {
    "late": (replace(WELL, scaling=waiting(oldest_due_seconds=31.0)), "catchlight work --processes 2"),
    "deletion": (
        replace(WELL, scaling=waiting(nearest_deletion_seconds=86_399.0)),
        "catchlight work --processes 2",
    ),
    "hooks": (
        replace(WELL, hooks=[Standing("crm", HookState.DISABLED, NOW, "410")]),
        "catchlight hooks enable crm",
    ),
    "hooks.failing": (
        replace(WELL, hooks=[Standing("crm", HookState.FAILING, NOW - 61)]),
        "catchlight hooks test crm",
    ),
    "dead": (replace(WELL, stages={"dead": 2}), "catchlight replay stage:dead --dry-run"),
    "deliveries.dead": (
        replace(WELL, died=1),
        "catchlight deliveries retry state:dead --dry-run",
    ),
    "refused": (replace(WELL, forged=20), "catchlight refused"),
    "settings": (replace(WELL, warnings=["CATCHLIGHT_X: odd"]), "catchlight config show"),
    "redis.memory": (replace(WELL, server=Server(used=70, most=100)), "catchlight prune --dry-run"),
    "clock": (replace(WELL, server=Server(ahead=-31.0)), "catchlight doctor"),
    "jobs": (replace(WELL, server=Server(aside=1)), "catchlight doctor"),
    "durability.appendfsync": (
        replace(WELL, server=Server(promises=[Finding("durability.appendfsync", State.FAIL, "everysec")])),
        "catchlight doctor",
    ),
    "reconciled": (
        replace(WELL, reconcile_every=300, drifts=[{"source": "s", "at": an_hour_ago()}]),
        "catchlight reconcile --since 24h",
    ),
    "storage": (replace(WELL, roles=[*EVERYBODY, SHORT]), "catchlight doctor"),
    "storage.apart": (replace(WELL, roles=[*EVERYBODY, HERE, THERE]), "catchlight config show"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_odd_is_a_warning_with_its_command(name: str) -> None:
    facts, fix = WARNINGS[name]
    (problem,) = judge(facts)
    assert (problem.name, problem.state, problem.fix) == (name, State.WARN, fix)
    assert problem.button is None or problem.button.route.startswith("/")


FAILURES = {
    "redis.memory": (replace(WELL, server=Server(used=81, most=100)), "catchlight prune --dry-run"),
    "redis.write": (replace(WELL, server=Server(unwritten="its log")), "catchlight doctor"),
    "redis.replica": (replace(WELL, server=Server(is_replica=True)), "catchlight doctor"),
    "storage": (
        replace(WELL, roles=[one for one in EVERYBODY if one.role != "work"] + [SHORT]),
        "catchlight doctor",
    ),
    "fetches": (replace(WELL, fetches=Fetches(10, 11, 60.0)), "catchlight ls stage:accepted"),
    "secret": (
        replace(WELL, secrets=[{"source": "studio", "state": Compared.DRIFTED, "detail": "it changed"}]),
        "catchlight connect --source studio",
    ),
    "hooks.failing": (
        replace(WELL, hooks=[Standing("crm", HookState.PARKED, NOW - 61, parked=1)]),
        "catchlight hooks test crm",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_refuses_work_or_stops_it_makes_all_unhealthy(name: str) -> None:
    facts, fix = FAILURES[name]
    (problem,) = found = judge(facts)
    assert (problem.name, problem.state, problem.fix) == (name, State.FAIL, fix)
    assert not troubles.healthy(found)


@pytest.mark.parametrize(
    "facts",
    [
        replace(WELL, forged=19),
        replace(WELL, server=HALF),
        replace(WELL, server=Server(used=1 << 40)),
        replace(WELL, server=Server(promises=[Finding("durability.appendonly", State.OK, "yes")])),
        replace(WELL, server=Server(promises=[Finding("durability", State.WARN, "not shown")])),
        replace(
            WELL, hooks=[Standing("crm", HookState.FAILING, NOW - 5), Standing("lake", HookState.ENABLED)]
        ),
        replace(WELL, scaling=waiting(nearest_deletion_seconds=None)),
        replace(WELL, scaling=waiting(nearest_deletion_seconds=86_400.0)),
        replace(WELL, drifts=[{"source": "s", "at": an_hour_ago()}]),
        replace(WELL, reconcile_every=1300, drifts=[{"source": "s", "at": an_hour_ago()}]),
        replace(WELL, secrets=[{"source": "s", "state": Compared.UNKNOWN, "detail": ""}]),
        replace(WELL, fetches=Fetches(9, 10, 60.0)),
        replace(WELL, fetches=Fetches(1000, 999, 60.0)),
    ],
    ids=range(13),
)
def test_every_days_noise_is_none(facts: Facts) -> None:
    assert judge(facts) == []


def test_a_hook_with_parked_deliveries_is_only_probed() -> None:
    (problem,) = judge(replace(WELL, hooks=[Standing("crm", HookState.PARKED, NOW - 600, parked=34)]))
    assert problem.detail.endswith("for 10 min (failing), and is only probed: 34 deliveries wait for it")


def test_a_disabled_hook_has_a_button_that_enables_it() -> None:
    (problem,) = judge(WARNINGS["hooks"][0])
    assert problem.button == ("Enable crm", "/hooks/crm/enable", True)


def test_a_query_in_a_route_is_quoted() -> None:
    (problem,) = judge(WARNINGS["dead"][0])
    assert problem.button is not None
    assert problem.button.route == "/runs/new?kind=replay&from=fetch&query=stage%3Adead"


def test_the_worst_comes_first() -> None:
    facts = replace(WELL, roles=EVERYBODY[:2], scaling=waiting(backlog=1), stages={"dead": 1}, warnings=["w"])
    assert [problem.state for problem in judge(facts)] == [State.FAIL, State.WARN, State.WARN]


@pytest.mark.anyio
async def test_the_facts_are_the_ledgers(ledger: Ledger) -> None:
    hooks = (hook("crm"), hook("mail"), hook("lake"))
    await ledger.history.keep()
    await accept(ledger, callback(completed()))
    await finish(ledger, hooks=hooks)
    await ledger.roles.beat("work", "w1", since=1.0, said=Said(3, "no room"))
    now = real_clock.now()
    decided: dict[str, Dead | Parked | Retry] = {
        "crm": Dead("gone", disable=True),
        "mail": Parked(),
        "lake": Retry(now + 5),
    }
    for one in await deliveries(ledger):
        taken = await ledger.deliveries.take(one["id"], 20)
        assert taken is not None
        decision = decided[one["hook"]]
        assert await ledger.deliveries.attempted(taken, decision, status=500, error="no", now=now)
    facts = await troubles.gather(ledger, Settings(hooks=hooks))
    assert facts.stages["done"] == facts.tally["stage_done"] == 1
    assert [(one.role, one.since, one.said) for one in facts.roles] == [("work", 1.0, Said(3, "no room"))]
    assert [(one.name, one.state) for one in facts.hooks] == [
        ("crm", HookState.DISABLED),
        ("mail", HookState.PARKED),
        ("lake", HookState.FAILING),
    ]
    assert facts.died == 1
    assert abs(facts.server.ahead) < 5
    assert {one.state for one in facts.server.promises} == {State.OK}
    assert facts.server.used
    assert facts.server.version
