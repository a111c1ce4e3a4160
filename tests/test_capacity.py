"""What bounds an installation, as a table: the facts, and the verdict that they ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service import capacity
from service.capacity import Bound, Facts, OfRedis, Rates
from service.capacity.gathering import Look, between, rates
from service.effort import Effort
from service.ledger.roles import Alive, Said
from service.ledger.server import Server
from service.settings import Settings
from service.throughput import Sample
from tests.builders import accept, callback, completed, finish

if TYPE_CHECKING:
    from service.ledger import Ledger

NOW = 1_800_000_000.0
IDLE: dict[str, Any] = dict.fromkeys(("backlog", "waiting", "working", "due", "awaited", "deliveries_due"), 0)
IDLE |= {"oldest_due_seconds": 0.0}
QUEUE = IDLE | {"backlog": 500, "waiting": 490, "working": 10, "oldest_due_seconds": 40.0}
TELLING = IDLE | {"backlog": 90, "deliveries_due": 90, "oldest_due_seconds": 40.0}
BUSY_DAY = Rates(300.0, arriving=5.0, ending=4.0)


def effort(
    busy: float = 0.2, *, starved: float = 0.0, lag: float = 0.001, means: Any = None, rates: Any = None
) -> Effort:
    return Effort(15.0, 60.0, busy, busy - starved, starved, lag, means or {}, rates or {})


def worker(of: Effort, *, slots: int = 64, trouble: str = "", name: str = "w1") -> Alive:
    return Alive("work", name, NOW, said=Said(slots, trouble, slots, 10**10, of, 0.001))


def facts(of: Effort | None = None, scaling: Any = None, **more: Any) -> Facts:
    """One worker of 64 places, and a receiver and a sweeper with little to do."""
    others = [Alive(role, "i", NOW, said=Said(effort=effort(0.05))) for role in ("serve", "sweep")]
    roles = [worker(of or effort()), *others]
    return replace(Facts(NOW, roles, QUEUE if scaling is None else scaling, BUSY_DAY), **more)


def full(**means: float) -> dict[str, float]:
    return {"in_flight": 64.0, "full": 1.0} | means


PROCESS, MACHINE, NEITHER = (True, True), (False, True), (False, False)
QUIET = facts(scaling=IDLE, rates=Rates(300.0))
CASES = {
    "idle": (QUIET, Bound.NOTHING, NEITHER, "nothing"),
    "it keeps up": (facts(scaling=IDLE), Bound.NOTHING, NEITHER, "nothing"),
    "a burst of this moment": (
        facts(scaling=QUEUE | {"oldest_due_seconds": 0.5}), Bound.NOTHING, NEITHER, "nothing",
    ),
    "nobody works": (facts(roles=()), Bound.NO_WORKER, PROCESS, "catchlight work"),
    "Redis is full": (facts(server=Server(used=81, most=100)), Bound.REDIS_MEMORY, NEITHER, "Redis"),
    "Redis computes": (facts(redis=OfRedis(5, cpu=0.9, writing=0.1)), Bound.REDIS_CPU, NEITHER, "core"),
    "Redis waits for its disk": (facts(redis=OfRedis(5, cpu=0.2, writing=0.7)), Bound.FSYNC, NEITHER, "disk"),
    "the same, and it does not say": (
        facts(roles=[replace(one, said=replace(one.said, wrote_in=0.08)) for one in facts().roles]),
        Bound.FSYNC, NEITHER, "disk",
    ),
    "the store fails": (
        facts(roles=[worker(effort(), trouble="the storage fails: EIO")]), Bound.STORAGE, NEITHER, "doctor",
    ),
    "a receiver computes": (
        facts(roles=[*facts().roles, Alive("serve", "j", NOW, said=Said(effort=effort(0.95)))]),
        Bound.RECEIVER_CPU, PROCESS, "catchlight serve",
    ),
    "a receiver finds no core": (
        facts(roles=[*facts().roles, Alive("serve", "j", NOW, said=Said(effort=effort(0.95, starved=0.4)))]),
        Bound.RECEIVER_CPU, MACHINE, "another machine",
    ),
    "the worker computes": (facts(effort(0.97)), Bound.WORKER_CPU, PROCESS, "catchlight work --processes 2"),
    "its loop is late": (facts(effort(0.6, lag=0.2)), Bound.WORKER_CPU, PROCESS, "--processes 2"),
    "it finds no core": (facts(effort(0.97, starved=0.5)), Bound.WORKER_CPU, MACHINE, "another machine"),
    "it seldom computes, for it finds no core": (
        facts(effort(0.6, starved=0.5)),
        Bound.WORKER_CPU,
        MACHINE,
        "another machine",
    ),
    "its threads compute": (
        facts(replace(effort(0.6), cpu=0.97)),
        Bound.WORKER_CPU,
        PROCESS,
        "--processes 2",
    ),
    "one of three computes": (
        facts(roles=[worker(effort(n), name=f"w{n}") for n in (0.97, 0.2, 0.2)], scaling=QUEUE),
        Bound.NOTHING, NEITHER, "status",
    ),
    "bytes on their way": (
        facts(effort(means=full(for_bytes=30, bytes=500 << 20, bytes_most=512 << 20))),
        Bound.FETCH_IN_FLIGHT, PROCESS, "CATCHLIGHT_FETCH_IN_FLIGHT",
    ),
    "all from one host": (
        facts(effort(means=full(for_host=30))), Bound.FETCH_PER_HOST, PROCESS, "CATCHLIGHT_FETCH_PER_HOST",
    ),
    "a slow origin": (
        facts(effort(means=full(downloads=60, origin=58))),
        Bound.CONCURRENCY, PROCESS, "raise CATCHLIGHT_CONCURRENCY from 64 to 256",
    ),
    "a slow origin on a machine with much else": (
        facts(effort(0.4, starved=0.3, means=full(downloads=60, origin=58))),
        Bound.CONCURRENCY,
        PROCESS,
        "raise CATCHLIGHT_CONCURRENCY from 64 to 136",
    ),
    "a slow origin and many places": (
        facts(roles=[worker(effort(means=full(downloads=60, origin=58)), slots=512)]),
        Bound.ORIGIN, MACHINE, "latency",
    ),
    "slow storage": (
        facts(effort(means=full(downloads=60, origin=5))), Bound.STORAGE, MACHINE, "CATCHLIGHT_STORAGE_URL",
    ),
    "a slow hook takes the places": (
        facts(effort(means=full() | {"hook:crm": 40.0})), Bound.HOOK, PROCESS, "concurrency",
    ),
    "a slow hook has its places": (
        facts(effort(means={"hook:crm": 16.0}, rates={"turned_by_places:crm": 3.0}), TELLING),
        Bound.HOOK, PROCESS, "concurrency",
    ),
    "a hook with a rate": (
        facts(effort(rates={"turned_by_rate:crm": 3.0}), TELLING, hook_rates={"crm": 20.0}),
        Bound.HOOK_RATE, NEITHER, "rate",
    ),
    "polls": (
        facts(scaling=IDLE | {"backlog": 900, "due": 900, "oldest_due_seconds": 40.0}),
        Bound.POLL_RATE, NEITHER, "CATCHLIGHT_POLL_RATE",
    ),
    "polls, for no callback comes": (
        facts(
            scaling=IDLE | {"backlog": 900, "due": 900, "oldest_due_seconds": 40.0},
            rates=Rates(300.0, arriving=5.0, ending=5.0, recovered=4.0),
        ),
        Bound.POLL_RATE, NEITHER, "80% of completions",
    ),
    "an origin that fails": (
        facts(effort(rates={"fetches_failed": 3.0, "outputs": 1.0})), Bound.ORIGIN, NEITHER, "explain",
    ),
    "retries that are not due": (facts(), Bound.NOTHING, NEITHER, "status"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_follows_from_the_facts(name: str) -> None:
    given, bound, (process, machine), step = CASES[name]
    verdict = capacity.judge(given)
    assert (verdict.bound, verdict.process, verdict.machine) == (bound, process, machine), verdict
    assert step in verdict.step
    assert verdict.why


def test_every_bound_is_a_verdict_of_some_facts() -> None:
    assert {bound for _, bound, _, _ in CASES.values()} == set(Bound)


def test_it_names_what_comes_first_when_it_keeps_up() -> None:
    assert capacity.judge(facts(effort(0.5), IDLE)).why.endswith("the busiest is a worker's loop, at 50%")
    redis = OfRedis(5, cpu=0.4, writing=0.3)
    assert capacity.judge(facts(scaling=IDLE, redis=redis)).why.endswith("Redis, at 70%")


def test_no_more_places_are_advised_than_the_loop_has_time_for() -> None:
    verdict = capacity.judge(facts(effort(0.425, means=full(downloads=60, origin=58))))
    assert verdict.step.startswith("raise CATCHLIGHT_CONCURRENCY from 64 to 128;")


def test_when_it_is_drained_and_for_how_long_memory_and_disk_last() -> None:
    some = facts(
        effort(rates={"bytes": 5e6}),
        rates=Rates(60.0, arriving=10.0, ending=15.0),
        redis=OfRedis(5, predictions=10_000, used=20_000_000),
        server=Server(used=30_000_000, most=100_000_000),
    )
    assert some.drained_in == 100.0
    assert some.memory_lasts == pytest.approx((80e6 - 30e6) / (10 * 2000))
    assert some.disk_lasts == 2000.0
    assert replace(some, rates=Rates(60.0, 5.0, 5.0)).drained_in is None
    assert replace(some, scaling=IDLE).drained_in == 0.0
    assert replace(some, server=Server(used=30_000_000)).memory_lasts is None
    enough = Server(used=10**9, most=10**12)
    assert replace(some, server=enough).memory_lasts is None, "as many go as come"
    assert replace(some, redis=OfRedis(5, predictions=9, used=10**6)).memory_lasts is None, "too few to say"


def test_two_looks_make_shares_and_rates() -> None:
    used = {"used_cpu_user": 1.0, "used_cpu_sys": 1.0, "total_commands_processed": 50}
    first = Look(100.0, 5, used)
    more = {"cmdstat_evalsha": {"calls": 30}, "used_memory": 3000, "used_memory_startup": 1000}
    used = {"used_cpu_user": 2.0, "used_cpu_sys": 2.0, "total_commands_processed": 90}
    last = Look(110.0, 7, used | more)
    found = between(first, last)
    assert (found.cpu, found.commands, found.scripts, found.used) == (0.2, 4.0, 3.0, 2000)
    assert found.writing is None, "this one does not say"
    own = {"used_cpu_user_main_thread": 9.0, "eventloop_duration_aof_sum": 5e6}
    assert between(first, Look(110.0, 7, own)).cpu == pytest.approx(0.7)
    later = own | {"eventloop_duration_aof_sum": 7e6}
    assert between(Look(100.0, 7, own), Look(110.0, 7, later)).writing == 0.2
    assert between(last, first).commands == 0, "it began anew"


def test_rates_are_of_what_was_added() -> None:
    before = Sample(0.0, {"via_callback": 10, "stage_done": 4})
    now = Sample(10.0, {"via_callback": 30, "via_poll": 10, "stage_done": 14, "deliveries_delivered": 5})
    assert rates(now, before) == Rates(10.0, arriving=3.0, ending=1.0, telling=0.5, recovered=1.0)
    assert rates(now, now) == Rates()


@pytest.mark.anyio
async def test_the_facts_are_the_ledgers(ledger: Ledger) -> None:
    await ledger.history.keep()
    await accept(ledger, callback(completed()))
    await finish(ledger)
    await ledger.roles.beat("work", "w1", said=Said(3, slots=64, effort=effort(), wrote_in=0.001))
    found = await capacity.gather(ledger, Settings(), over=0.2, minutes=5)
    assert [one.said.effort for one in found.of("work")] == [effort()]
    assert found.redis.predictions == 1
    assert found.redis.seconds >= 0.2
    assert found.redis.writing is not None
    assert found.redis.commands > 0
    assert found.slots == 64
    assert found.server.used
