from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import keys
from service.ledger import Commit
from service.prediction import Reason, Stage, Step
from tests.builders import (
    LEASE,
    Clock,
    accept,
    callback,
    completed,
    fields_of,
    finish,
    jobs,
    lease,
    ref,
    stage_of,
    timeline,
    tracked,
)

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio


async def test_a_lease_takes_what_is_accepted_with_its_token_and_its_payload(ledger: Ledger) -> None:
    await accept(ledger, callback(completed(nsfw="cf")))
    record = await lease(ledger, worker="w7")
    assert (record.stage, record.attempts, record.alone) == (Stage.WORKING, 1, False)
    assert record.token
    assert record.nsfw == ("clean", "flagged")
    assert len(record.payload["outputs"]) == 2
    assert (await timeline(ledger))[-1] == Step.LEASED


async def test_one_of_two_workers_gets_it(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    await lease(ledger)
    assert await ledger.predictions.lease(ref(), LEASE, "w2") is None


@pytest.mark.parametrize("stage", ["unknown", "awaited", "done"])
async def test_only_what_is_accepted_can_be_leased(ledger: Ledger, stage: str) -> None:
    if stage == "awaited":
        await accept(ledger, tracked())
    if stage == "done":
        await accept(ledger, callback(completed()))
        await finish(ledger)
    assert await ledger.predictions.lease(ref(), LEASE, "w1") is None


async def test_asking_again_after_a_lost_answer_gives_the_same_lease(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    run = ledger.predictions._scripts.run
    first = await run("lease", str(ref()), LEASE, "w1", "nonce-1")
    assert await run("lease", str(ref()), LEASE, "w1", "nonce-1") == first
    assert not await run("lease", str(ref()), LEASE, "w1", "nonce-2")
    assert (await fields_of(ledger))["attempts"] == "1"


async def test_a_stray_job_does_not_bring_a_retry_forward(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    record = await lease(ledger)
    await ledger.predictions.commit(ref(), Stage.WORKING, record.token, Commit(Stage.ACCEPTED, due_in=60))
    assert await ledger.predictions.lease(ref(), LEASE, "w2") is None
    clock.advance(60)
    await ledger.sweeping.sweep(10, reclaim=True)
    assert (await lease(ledger)).attempts == 2


async def test_a_renewed_lease_does_not_run_out(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed()))
    record = await lease(ledger)
    for _ in range(10):
        clock.advance(LEASE * 0.9)
        assert await ledger.predictions.renew([(ref(), record.token)], LEASE) == set()
        assert (await ledger.sweeping.sweep(10, reclaim=True)).crashed == 0
    assert await stage_of(ledger) == Stage.WORKING


async def test_renewing_names_every_lease_that_is_lost(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, *(callback(completed(id_)) for id_ in ("kept", "done", "crashed")))
    tokens = {id_: (await lease(ledger, id_)).token for id_ in ("kept", "done", "crashed")}
    await ledger.predictions.commit(ref("done"), Stage.WORKING, tokens["done"], Commit(Stage.DONE))
    clock.advance(LEASE)
    await ledger.predictions.renew([(ref("kept"), tokens["kept"])], LEASE)
    await ledger.sweeping.sweep(10, reclaim=True)
    await lease(ledger, "crashed", worker="w2")
    pairs = [(ref(id_), token) for id_, token in tokens.items()]
    assert await ledger.predictions.renew([*pairs, (ref("never"), "1")], LEASE) == {
        ref("done"),
        ref("crashed"),
        ref("never"),
    }
    assert await ledger.predictions.renew([], LEASE) == set()


@pytest.mark.parametrize("field", ["payload", "outputs", "metadata", "failures", "verdict"])
async def test_an_unreadable_record_ends_dead_and_brings_no_worker_down(ledger: Ledger, field: str) -> None:
    await accept(ledger, callback(completed()))
    await ledger.redis.hset(keys.PREDICTION + str(ref()), field, "{torn")
    assert await ledger.predictions.lease(ref(), LEASE, "w1") is None
    record = await ledger.reading.record(ref())
    assert record is not None
    assert (record.stage, record.reason) == (Stage.DEAD, Reason.ATTEMPTS_EXHAUSTED)
    assert field in (record.error or "")


async def test_after_a_flush_of_redis_the_scripts_still_run(ledger: Ledger) -> None:
    await accept(ledger, callback(completed()))
    await ledger.redis.flushall()
    await ledger.redis.script_flush()
    await accept(ledger, callback(completed()))
    assert (await lease(ledger)).attempts == 1
    assert len(await jobs(ledger)) == 1
