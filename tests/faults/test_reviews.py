"""Reviews among everything else that can happen: the state machine of the stages with a person in it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from service import events, keys
from service.errors import Conflict, NotFound
from service.ledger import Commit
from service.prediction import TERMINAL, Disposition, Nsfw, Stage, Step, Verdict
from service.review import Decision
from tests.builders import LEASE, RETENTION, ref
from tests.faults.moves import illegal_moves
from tests.faults.test_stages import HOOKS, IDS, Predictions, ids
from workers.outputs import Output, plan
from workers.review import wanted

if TYPE_CHECKING:
    from service.ledger import PredictionRecord

HELD, STORED = Disposition.HELD, Disposition.STORED


def settled(record: PredictionRecord) -> list[Output]:
    """As a worker leaves them, with nothing that fails."""
    outputs = plan(record, record.payload.get("outputs") or ())
    for one in outputs:
        if one.open:
            one.disposition, one.sha256 = STORED, "0" * 64
        if one.disposition is STORED and one.nsfw is not Nsfw.CLEAN:
            one.disposition = HELD
        review = record.reviews.get(one.index)
        if review and (to := wanted(one, review)):
            one.disposition, one.decision = to, review.number
    return outputs


class Reviewed(Predictions):
    @initialize()
    def there_is_something_to_review(self) -> None:
        """Chance alone would seldom come so far."""
        for id_ in IDS:
            self.arrives(id_, "completed")
            self.worked(id_)

    @rule(
        id_=ids,
        index=st.sampled_from([1, 1, 1, 0, 2]),
        decision=st.sampled_from(Decision),
        at_once=st.booleans(),
    )
    def reviewed(self, id_: str, index: int, decision: Decision, at_once: bool) -> None:
        with suppress(NotFound, Conflict):
            self.run(self.ledger.reviews.decide(ref(id_), index, decision, "ada", ""))
        if at_once:
            self.worked(id_)

    @rule(id_=ids, died=st.booleans())
    def ended(self, id_: str, died: bool) -> None:
        if id_ not in self.leases:
            return
        record = self.leases[id_]
        to = Stage.DEAD if died else Stage.DONE if record.verdict is Verdict.COMPLETED else Stage.FAILED
        if record.was:
            to = record.was.stage
        outputs = settled(record) if to is not Stage.FAILED else []
        kept = [one.stored() for one in outputs]
        public = record.public() | {"stage": to, "outputs": kept}
        decided = {one.index: one.decision for one in outputs}
        told = events.of_prediction(
            record.ref, record.generation, public, HOOKS, self.clock.now, decided=decided
        )
        before = self.ends(id_)
        self.commit(id_, Commit(to, outputs=kept, events=told))
        assert not record.was or self.ends(id_) == before, "a review has ended the prediction anew"

    @rule(seconds=st.sampled_from([1, 6, LEASE, 200, RETENTION]), reclaim=st.booleans())
    def time_passes(self, seconds: float, reclaim: bool) -> None:
        super().time_passes(seconds, reclaim)
        # What was forgotten and comes again counts its tokens anew; no lease outlives a retention.
        self.void = [one for one in self.void if self.run(self.ledger.reading.standings([one.ref]))]

    @rule(id_=ids)
    def worked(self, id_: str) -> None:
        self.leased(id_)
        self.ended(id_, died=False)

    def ends(self, id_: str) -> list[str]:
        """Ids of its `prediction.*` events."""
        told = self.run(self.ledger.redis.hgetall(keys.EVENTS + str(ref(id_))))
        return sorted(id_ for id_, body in told.items() if json.loads(body)["type"].startswith("prediction."))

    @invariant()
    def exactly_what_ended_with_a_held_output_waits_for_a_person(self) -> None:
        waiting = set(self.run(self.ledger.redis.zrange(keys.REVIEW, 0, -1)))
        for id_ in IDS:
            record = self.run(self.ledger.reading.record(ref(id_)))
            if record is None:
                assert str(ref(id_)) not in waiting
            elif record.stage in TERMINAL:
                held = any(kept["disposition"] == HELD for kept in record.outputs)
                assert (str(ref(id_)) in waiting) == held

    @invariant()
    def a_review_leaves_a_legal_story(self) -> None:
        for id_ in IDS:
            found = self.run(self.ledger.reading.prediction(ref(id_)))
            lines = found["timeline"] if found else []
            # A replay that has to ask the provider again leaves no line that says so.
            if not any(line["step"] == Step.REPLAYED for line in lines):
                assert list(illegal_moves(lines)) == []


def test_the_ledger_holds_together_with_a_person_in_it(redis_server: str, long: bool, seed: int) -> None:
    Reviewed.url = redis_server
    sequences, steps = (2_000, 50) if long else (40, 20)
    run_state_machine_as_test(
        seeded(seed)(Reviewed),
        settings=settings(
            max_examples=sequences,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(
    ("steps", "legal"),
    [
        ("accepted, leased, committed done, reviewed, leased, committed done", True),
        ("accepted, leased, committed dead, reviewed, crashed, leased, committed dead", True),
        ("accepted, leased, committed done, leased, committed done", False),
        ("accepted, leased, reviewed, committed done", True),
        ("accepted, leased, committed done, reviewed, committed done", False),
    ],
)
def test_a_review_opens_what_was_closed(steps: str, legal: bool) -> None:
    lines = [dict(zip(("step", "detail"), f"{one} ".split(" "), strict=False)) for one in steps.split(", ")]
    assert (list(illegal_moves(lines)) == []) is legal
