"""The stages as a state machine: any order of what can happen, on virtual time, and what must hold.

`--faults=long` tries 2,000 sequences of 50 steps.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from service import events, keys
from service.hooks import Dead, Delivered, Retry
from service.ledger import Commit, Ledger
from service.prediction import LEGAL_MOVES, TERMINAL, Disposition, Nsfw, Reason, Stage, Verdict
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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the invariants look at; members are `source:id` and delivery ids."""

    in_stage: dict[Stage, list[str]]
    index: list[str]
    work: set[str]
    poll: set[str]
    ageing: set[str]
    waited_for: list[str]
    """Deliveries that are active, waiting or parked, as often as they stand there."""
    stages: dict[str, str | None]
    lives: dict[str, int]
    states: dict[str, str | None]


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
        self.stages: dict[str, str | None] = {}

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
    def crashed_alone(self, id_: str) -> None:
        record = self.leases.pop(id_, None)
        if record is not None:
            self.run(self.ledger.predictions.crashed(record.ref, record.token))
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
    def compacted(self) -> None:
        """Whoever looks sees the same."""
        before = self.shown()
        self.run(self.ledger.compacting.compact(0, 100))
        assert self.shown() == before

    def shown(self) -> list[dict[str, Any] | None]:
        return [self.run(self.ledger.reading.prediction(ref(id_))) for id_ in IDS]

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

    @rule(by=st.sampled_from([-3600, -40, 400, 3600]))
    def clock_is_set(self, by: float) -> None:
        """No lease runs out of it, and nothing is due sooner or later for it."""
        sweeping = self.ledger.sweeping
        self.run(sweeping.sweep(100, reclaim=True, elapsed=0.0))
        self.clock.advance(by)
        swept = self.run(sweeping.sweep(100, reclaim=True, elapsed=0.0))
        assert (swept.stepped, swept.rung, swept.crashed, swept.redelivered) == (by, 0, 0, 0)

    def look(self) -> Snapshot:
        seen: Snapshot = self.run(self._look())
        return seen

    async def _look(self) -> Snapshot:
        places = (keys.INDEX, keys.DUE_WORK, keys.DUE_POLL, keys.EXPIRY, keys.DELIVERIES)
        waiting = (keys.DELIVERIES_ACTIVE, keys.DELIVERIES_WAITING)
        async with self.ledger.redis.pipeline() as pipe:
            for name in (*(keys.STAGE + stage for stage in Stage), *places, *waiting):
                pipe.zrange(name, 0, -1)
            for hooked in HOOKS:
                pipe.smembers(keys.DELIVERIES_PARKED + hooked.name)
            found = await pipe.execute()
        in_stage = dict(zip(Stage, found, strict=False))
        index, work, poll, ageing, deliveries, *waited_for = found[len(Stage) :]
        async with self.ledger.redis.pipeline() as pipe:
            for member in index:
                pipe.hget(keys.PREDICTION + member, "stage")
                pipe.ttl(keys.PREDICTION + member)
            for id_ in deliveries:
                pipe.hget(keys.DELIVERY + id_, "state")
            said = await pipe.execute()
        of_predictions, states = said[: 2 * len(index)], said[2 * len(index) :]
        return Snapshot(
            in_stage,
            index,
            set(work),
            set(poll),
            set(ageing),
            [id_ for place in waited_for for id_ in place],
            dict(zip(index, of_predictions[::2], strict=True)),
            dict(zip(index, of_predictions[1::2], strict=True)),
            dict(zip(deliveries, states, strict=True)),
        )

    @invariant()
    def what_must_hold_holds(self) -> None:
        seen = self.look()
        self.every_stage_is_counted_once_and_moved_to_legally(seen)
        self.whatever_has_not_ended_is_due_somewhere(seen)
        self.every_pending_delivery_is_waited_for_in_one_place(seen)

    def every_stage_is_counted_once_and_moved_to_legally(self, seen: Snapshot) -> None:
        stage_of: dict[str, str | None] = {}
        for entered, members in seen.in_stage.items():
            for member in members:
                assert member not in stage_of, "in two stages at once"
                stage_of[member] = entered
        assert stage_of == seen.stages
        for member, stage in stage_of.items():
            before = self.stages.get(member)
            assert before is None or before == stage or stage in reachable(Stage(before))
        self.stages = stage_of

    @staticmethod
    def whatever_has_not_ended_is_due_somewhere(seen: Snapshot) -> None:
        for member, stage in seen.stages.items():
            assert (member in seen.work) == (stage in (Stage.ACCEPTED, Stage.WORKING))
            assert (member in seen.poll) == (stage == Stage.AWAITED)
            assert (member in seen.ageing) == (stage in TERMINAL)
            assert (seen.lives[member] > 0) == (stage in TERMINAL)

    @staticmethod
    def every_pending_delivery_is_waited_for_in_one_place(seen: Snapshot) -> None:
        for id_, state in seen.states.items():
            assert seen.waited_for.count(id_) == (state == "pending")

    @invariant()
    def a_void_lease_commits_nothing(self) -> None:
        for record in self.void[-3:]:
            late = Commit(Stage.DEAD, error="late")
            assert not self.run(self.ledger.predictions.commit(record.ref, Stage.WORKING, record.token, late))


def reachable(left: Stage) -> frozenset[Stage]:
    """In two moves: one step may crash a prediction and ring it, or expire and forget it."""
    return LEGAL_MOVES[left].union(*(LEGAL_MOVES[to] for to in LEGAL_MOVES[left]))


def test_the_ledger_holds_together_whatever_happens_in_whatever_order(
    redis_server: str, long: bool, seed: int
) -> None:
    Predictions.url = redis_server
    sequences, steps = (2_000, 50) if long else (150, 30)
    run_state_machine_as_test(
        seeded(seed)(Predictions),
        settings=settings(
            max_examples=sequences,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
