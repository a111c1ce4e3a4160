"""Any order of everything that can happen to predictions, and what must hold after each step."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from service import events, keys
from service.hooks import Dead, Delivered, Retry
from service.ledger import Commit, Ledger
from service.prediction import LEGAL_MOVES, TERMINAL, Disposition, Nsfw, Reason, Ref, Stage, Verdict
from tests.builders import (
    LEASE,
    RETENTION,
    Clock,
    accept,
    callback,
    completed,
    failed,
    hook,
    output,
    pending,
    ref,
    stale,
    tracked,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.ledger import Arrival, PredictionRecord

IDS = ("p1", "p2", "p3")
HOOKS = (hook("crm"), hook("mail", events=["prediction.*"]))
ids = st.sampled_from(IDS)
ARRIVALS: dict[str, Callable[[str], Arrival]] = {
    "completed": lambda id_: callback(completed(id_, nsfw="cu")),
    "stricter": lambda id_: callback(completed(id_, nsfw="fu", outputs=completed(id_, "cu").outputs)),
    "empty": lambda id_: callback(completed(id_, nsfw="")),
    "failed": lambda id_: callback(failed(id_)),
    "pending": lambda id_: callback(pending(id_)),
    "stale": stale,
    "tracked": tracked,
}


class Predictions(RuleBasedStateMachine):
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.ledger = Ledger(self.url, RETENTION, virtual_now=self.clock)
        self.run(self.ledger.redis.flushall())
        self.leases: dict[str, PredictionRecord] = {}
        self.void: list[PredictionRecord] = []
        self.stages: dict[str, str] = {}

    def run(self, what: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(what)

    def teardown(self) -> None:
        self.run(self.ledger.aclose())
        self.loop.close()

    @rule(id_=ids, what=st.sampled_from(sorted(ARRIVALS)))
    def arrives(self, id_: str, what: str) -> None:
        self.run(accept(self.ledger, ARRIVALS[what](id_)))

    @rule(id_=ids)
    def leased(self, id_: str) -> None:
        record = self.run(self.ledger.predictions.lease(ref(id_), LEASE, "w1"))
        if record is not None:
            if id_ in self.leases:
                self.void.append(self.leases[id_])
            self.leases[id_] = record

    @rule(id_=ids, wait=st.sampled_from([0, 5, 120]))
    def retried_or_handed_back(self, id_: str, wait: float) -> None:
        self.commit(id_, Commit(Stage.ACCEPTED, failures=1, due_in=wait))

    @rule(id_=ids, died=st.booleans())
    def ended(self, id_: str, died: bool) -> None:
        if id_ not in self.leases:
            return
        record = self.leases[id_]
        kinds = {Nsfw.CLEAN: Disposition.STORED}
        kept = [output(i, kinds.get(nsfw, Disposition.HELD)) for i, nsfw in enumerate(record.nsfw)]
        to = Stage.DEAD if died else Stage.DONE if record.verdict is Verdict.COMPLETED else Stage.FAILED
        public = record.public() | {"stage": to, "outputs": kept}
        told = events.of_prediction(record.ref, record.generation, public, HOOKS, self.clock.now)
        self.commit(id_, Commit(to, outputs=kept, events=told))

    def commit(self, id_: str, commit: Commit) -> None:
        record = self.leases.pop(id_, None)
        if record is not None:
            self.run(self.ledger.predictions.commit(record.ref, Stage.WORKING, record.token, commit))
            self.void.append(record)

    @rule(id_=ids)
    def deadline(self, id_: str) -> None:
        self.run(
            self.ledger.predictions.commit(
                ref(id_), Stage.AWAITED, "", Commit(Stage.EXPIRED, Reason.DEADLINE)
            )
        )

    @rule(id_=ids)
    def replayed(self, id_: str) -> None:
        self.run(self.ledger.predictions.replay(ref(id_)))

    @rule(decision=st.sampled_from([Delivered(), Retry(0), Dead("gone", disable=True)]))
    def delivered(self, decision: Delivered | Retry | Dead) -> None:
        for id_ in self.run(self.ledger.redis.zrange(keys.DELIVERIES_ACTIVE, 0, 0)):
            if taken := self.run(self.ledger.deliveries.take(id_, 20)):
                self.run(
                    self.ledger.deliveries.attempted(
                        taken, decision, status=200, error="", now=self.clock.now
                    )
                )

    @rule()
    def enabled(self) -> None:
        self.run(self.ledger.deliveries.enable("crm"))

    @rule()
    def queue_lost(self) -> None:
        self.run(self.ledger.redis.delete("rq:queue:catchlight"))

    @rule(seconds=st.sampled_from([1, 6, LEASE, 200, RETENTION]), reclaim=st.booleans())
    def time_passes(self, seconds: float, reclaim: bool) -> None:
        self.clock.advance(seconds)
        self.run(self.ledger.sweeping.sweep(100, reclaim=reclaim))
        self.run(self.ledger.sweeping.trim(100))

    @invariant()
    def every_stage_is_counted_once_and_moved_to_legally(self) -> None:
        redis, seen = self.ledger.redis, {}
        for stage in Stage:
            for member in self.run(redis.zrange(keys.STAGE + stage, 0, -1)):
                assert member not in seen, "in two stages at once"
                seen[member] = stage
        known = self.run(redis.zrange(keys.INDEX, 0, -1))
        assert sorted(seen) == sorted(known)
        for member, stage in seen.items():
            assert self.run(redis.hget(keys.PREDICTION + member, "stage")) == stage
            before = self.stages.get(member)
            assert before is None or before == stage or stage in reachable(Stage(before))
        self.stages = {member: str(stage) for member, stage in seen.items()}

    @invariant()
    def whatever_has_not_ended_is_due_somewhere(self) -> None:
        work = set(self.run(self.ledger.redis.zrange(keys.DUE_WORK, 0, -1)))
        poll = set(self.run(self.ledger.redis.zrange(keys.DUE_POLL, 0, -1)))
        ageing = set(self.run(self.ledger.redis.zrange(keys.EXPIRY, 0, -1)))
        for member, stage in self.stages.items():
            assert (member in work) == (stage in (Stage.ACCEPTED, Stage.WORKING))
            assert (member in poll) == (stage == Stage.AWAITED)
            assert (member in ageing) == (stage in TERMINAL)
            lives = self.run(self.ledger.redis.ttl(keys.PREDICTION + member))
            assert (lives > 0) == (stage in TERMINAL)

    @invariant()
    def every_pending_delivery_is_waited_for_in_one_place(self) -> None:
        redis = self.ledger.redis
        places: list[str] = []
        for name in ("crm", "mail"):
            places += self.run(redis.smembers(keys.DELIVERIES_PARKED + name))
        for name in (keys.DELIVERIES_ACTIVE, keys.DELIVERIES_WAITING):
            places += self.run(redis.zrange(name, 0, -1))
        for id_ in self.run(redis.zrange(keys.DELIVERIES, 0, -1)):
            found = self.run(self.ledger.reading.delivery(id_))
            assert found is not None
            assert places.count(id_) == (found.state == "pending")

    @invariant()
    def a_void_lease_commits_nothing(self) -> None:
        for record in self.void[-3:]:
            late = Commit(Stage.DEAD, error="late")
            assert not self.run(self.ledger.predictions.commit(record.ref, Stage.WORKING, record.token, late))


def reachable(left: Stage) -> frozenset[Stage]:
    """In two moves: one step may crash a prediction and ring it, or expire and forget it."""
    return LEGAL_MOVES[left].union(*(LEGAL_MOVES[to] for to in LEGAL_MOVES[left]))


def test_the_ledger_holds_together_whatever_happens_in_whatever_order(redis_server: str) -> None:
    Predictions.url = redis_server
    run_state_machine_as_test(
        Predictions, settings=settings(max_examples=100, stateful_step_count=15, deadline=None)
    )


@pytest.mark.anyio
async def test_no_key_of_ours_lives_for_ever_but_those_on_the_list(ledger: Ledger, clock: Clock) -> None:
    for id_ in IDS:
        await accept(ledger, callback(completed(id_)))
        record = await ledger.predictions.lease(Ref("main", id_), LEASE, "w1")
        assert record is not None
        public = record.public() | {"stage": "done", "outputs": []}
        told = events.of_prediction(record.ref, 1, public, HOOKS, clock.now)
        await ledger.predictions.commit(
            record.ref, Stage.WORKING, record.token, Commit(Stage.DONE, events=told)
        )
    listed, _ = await ledger.reading.deliveries(50, None)
    for one in listed:
        taken = await ledger.deliveries.take(one["id"], 20)
        assert taken is not None
        await ledger.deliveries.attempted(taken, Delivered(), status=200, error="", now=clock.now)
    allowed = {keys.INDEX, keys.EXPIRY, keys.DELIVERIES, keys.TALLY, keys.SEQUENCE, keys.STAGE + "done"}
    immortal = [key for key in await ledger.redis.keys("*") if await ledger.redis.ttl(key) < 0]
    assert set(immortal) == allowed | {"rq:queue:catchlight", "rq:queues"}
