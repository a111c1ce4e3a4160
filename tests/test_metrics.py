"""Metrics: all that is documented is told and nothing else, and what was gathered is added up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import keys
from service.errors import LedgerDown
from service.ledger import Ledger
from service.ledger.counting import told_of
from service.ledger.roles import Said
from service.metrics import gathering
from service.metrics.catalogue import METRICS
from service.metrics.exposition import exposition
from service.metrics.gathering import Gathering
from service.prediction import Disposition, Stage
from tests.builders import (
    RETENTION,
    accept,
    callback,
    completed,
    finish,
    hook,
    lease,
    output,
    polled,
    tracked,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.ledger.measuring import Measured
    from tests.builders import Clock

pytestmark = pytest.mark.anyio


def samples(text: str) -> dict[str, float]:
    """`name{label="value"}` → value, labels in the order of the alphabet."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(one.labels.items()))
            found[f"{one.name}{{{labels}}}" if labels else one.name] = one.value
    return found


async def scraped(ledger: Ledger, *hooks: str) -> dict[str, float]:
    return samples(exposition(await ledger.measuring.measured(hooks)).decode())


def told(text: str) -> dict[str, str]:
    lines = [line.split(" ") for line in text.splitlines() if line.startswith("# TYPE ")]
    return {name: kind for _, _, name, kind in lines}


async def test_a_scrape_tells_every_metric_that_is_documented_and_no_other(ledger: Ledger) -> None:
    text = exposition(await ledger.measuring.measured(["crm"])).decode()
    assert told(text) == {metric.name: str(metric.kind) for metric in METRICS}


async def test_without_redis_it_says_so_and_nothing_that_would_look_like_an_answer() -> None:
    found = samples(exposition(None).decode())
    assert found.pop("catchlight_redis_up") == 0
    assert [name.partition("{")[0] for name in found] == ["catchlight_build_info"]


async def test_what_has_not_happened_is_zero_so_that_a_first_time_is_an_increase(ledger: Ledger) -> None:
    found = await scraped(ledger)
    for name in (
        'catchlight_callbacks_total{result="new"}',
        'catchlight_callbacks_refused_total{reason="signature"}',
        'catchlight_completions_total{via="poll"}',
        'catchlight_predictions_ended_total{stage="dead"}',
        'catchlight_outputs_total{disposition="lost"}',
        'catchlight_deliveries_total{state="dead"}',
        'catchlight_callback_seconds_bucket{le="+Inf"}',
    ):
        assert found[name] == 0, name
    assert found["catchlight_nearest_deletion_seconds"] == math.inf
    assert found["catchlight_storage_free_bytes"] == math.inf


async def test_callbacks_are_counted_by_result_and_completions_by_how_they_came(ledger: Ledger) -> None:
    await accept(ledger, callback(completed("p1")), callback(completed("p2")), callback(completed("p1")))
    await accept(ledger, tracked("p3"))
    await accept(ledger, polled(completed("p3")))
    found = await scraped(ledger)
    assert found['catchlight_callbacks_total{result="new"}'] == 2
    assert found['catchlight_callbacks_total{result="known"}'] == 1
    assert found['catchlight_completions_total{via="callback"}'] == 2
    assert found['catchlight_completions_total{via="poll"}'] == 1
    assert found["catchlight_duplicates_total"] == 1
    assert found['catchlight_predictions{stage="accepted"}'] == 3
    assert found['rq_jobs{queue="catchlight",status="queued"}'] == 3


async def test_outputs_are_counted_once_whatever_becomes_of_their_prediction(ledger: Ledger) -> None:
    await accept(ledger, callback(completed(nsfw="cf")))
    outputs = [output(0), output(1, Disposition.HELD, bytes=500)]
    await finish(ledger, outputs=outputs)
    found = await scraped(ledger)
    assert found['catchlight_outputs_total{disposition="stored"}'] == 1
    assert found['catchlight_outputs_total{disposition="held"}'] == 1
    assert found["catchlight_output_bytes_total"] == 1500
    assert found['catchlight_predictions_ended_total{stage="done"}'] == 1


def test_a_review_and_a_second_round_count_what_is_new_of_an_output() -> None:
    first = told_of([], [output(0), output(1) | {"disposition": None}])
    assert first == {"outputs_stored": 1, "output_bytes": 1000}
    before = [output(0), output(1, Disposition.HELD)]
    assert told_of(before, before) == {}
    assert told_of(before, [output(0), output(1, Disposition.RELEASED)]) == {"outputs_released": 1}
    assert told_of(before, [output(0, Disposition.LOST), output(1, Disposition.HELD)]) == {"outputs_lost": 1}


async def test_the_age_of_what_is_due_grows_while_nobody_does_it(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, tracked("awaited", due_in=60), callback(completed("queued")))
    await accept(ledger, callback(completed("held-up")))
    await lease(ledger, "held-up")
    ages = 'catchlight_oldest_due_seconds{stage="%s"}'
    assert {await _age(ledger, stage) for stage in ("awaited", "accepted", "working", "delivery")} == {0}
    clock.advance(100)
    found = await scraped(ledger)
    assert found[ages % "awaited"] == 40
    assert found[ages % "accepted"] == 100, "the sweeper looks after it, and yet nobody takes it"
    assert found[ages % "working"] == 88, "its lease ran out after 12 s"
    assert found[ages % "delivery"] == 0


async def _age(ledger: Ledger, stage: str) -> float:
    return (await scraped(ledger))[f'catchlight_oldest_due_seconds{{stage="{stage}"}}']


async def test_deliveries_that_wait_behind_younger_ones_are_seen(ledger: Ledger, clock: Clock) -> None:
    await accept(ledger, callback(completed("p1")), callback(completed("p2")))
    clock.advance(50)
    await finish(ledger, "p1", hooks=[hook()])
    clock.advance(5)
    assert (await _age(ledger, "delivery"), await _age(ledger, "accepted")) == (5, 55)


async def test_a_hook_that_fails_is_told_with_its_name(ledger: Ledger, clock: Clock) -> None:
    await ledger.redis.hset(keys.HOOK + "crm", mapping={"failing_since": f"{clock.now:.3f}", "disabled": "1"})
    await ledger.redis.sadd(keys.DELIVERIES_PARKED + "crm", "d1", "d2")
    clock.advance(600)
    found = await scraped(ledger, "crm", "well")
    assert found['catchlight_hook_failing_seconds{hook="crm"}'] == 600
    assert found['catchlight_hook_disabled{hook="crm"}'] == 1
    assert found['catchlight_deliveries_parked{hook="crm"}'] == 2
    assert found['catchlight_hook_failing_seconds{hook="well"}'] == 0


async def test_roles_and_what_workers_say_of_themselves(ledger: Ledger) -> None:
    await ledger.roles.beat("work", "a", said=Said(3, "no room", 64, 5000))
    await ledger.roles.beat("work", "b", said=Said(0, "", 64, 900))
    # One of an older version says nothing.
    await ledger.roles.beat("work", "c")
    found = await scraped(ledger)
    assert found['catchlight_roles{role="work"}'] == 3
    assert found['catchlight_roles{role="sweep"}'] == 0
    assert found["catchlight_slots"] == 128
    assert found["catchlight_storage_troubled"] == 1
    assert found["catchlight_storage_free_bytes"] == 900
    assert found['rq_workers{name="catchlight",queues="catchlight",state="busy"}'] == 1
    assert found['rq_workers{name="catchlight",queues="catchlight",state="idle"}'] == 2


async def test_the_last_reconciliation_and_a_drifted_secret_are_told_by_source(ledger: Ledger) -> None:
    await ledger.drifts.keep({"source": "main", "at": "2026-11-28T12:00:00.000Z"})
    await ledger.secrets.keep({"source": "main", "state": "drifted"})
    found = await scraped(ledger)
    assert found['catchlight_reconciled_timestamp_seconds{source="main"}'] == 1_795_867_200
    assert found['catchlight_secret_drifted{source="main"}'] == 1


async def test_samples_of_all_processes_are_added_up(ledger: Ledger) -> None:
    one, other = Gathering(ledger.measuring), Gathering(ledger.measuring)
    one.observe("delivery", 0.02, "crm")
    one.observe("delivery", 0.025, "crm")
    other.observe("delivery", 99.0, "crm")
    other.count(gathering.STORAGE_FAILED, 2)
    await one.put_away()
    await other.put_away()
    await other.put_away()
    found = await scraped(ledger)
    buckets = {
        name.partition('le="')[2][:-2].partition('"')[0]: value
        for name, value in found.items()
        if name.startswith("catchlight_delivery_seconds_bucket")
    }
    assert (buckets["0.01"], buckets["0.025"], buckets["30"], buckets["+Inf"]) == (0, 2, 2, 3)
    assert found['catchlight_delivery_seconds_sum{hook="crm"}'] == pytest.approx(99.045)
    assert found['catchlight_delivery_seconds_count{hook="crm"}'] == 3
    assert found["catchlight_storage_failures_total"] == 2


async def test_buckets_of_a_version_with_other_bounds_are_not_lost(ledger: Ledger) -> None:
    await ledger.measuring.add({"callback||0.3": 4, "callback||sum": 800_000})
    found = await scraped(ledger)
    assert found['catchlight_callback_seconds_bucket{le="0.25"}'] == 0
    assert found['catchlight_callback_seconds_bucket{le="0.3"}'] == 4
    assert found["catchlight_callback_seconds_count"] == 4


class Away:
    """A ledger that cannot be reached for a while."""

    def __init__(self) -> None:
        self.written: list[Mapping[str, int]] = []
        self.away = True

    async def add(self, counts: Mapping[str, int]) -> None:
        if self.away:
            raise LedgerDown("Redis does not answer")
        self.written.append(dict(counts))

    async def measured(self, hooks: object) -> Measured:
        raise LedgerDown("Redis does not answer")


async def test_what_redis_could_not_take_is_written_when_it_is_back() -> None:
    ledger = Away()
    gathered = Gathering(ledger)  # type: ignore[arg-type]  # of the ledger it needs this alone
    gathered.count(gathering.NOT_WRITTEN)
    await gathered.put_away()
    gathered.count(gathering.NOT_WRITTEN)
    ledger.away = False
    await gathered.put_away()
    assert ledger.written == [{gathering.NOT_WRITTEN: 2}]


async def test_no_label_is_an_id(ledger: Ledger) -> None:
    await accept(ledger, callback(completed("pred_secret_1", nsfw="f")))
    await finish(ledger, "pred_secret_1", Stage.DONE, hooks=[hook()], outputs=[output()])
    assert "pred_secret_1" not in exposition(await ledger.measuring.measured(["crm"])).decode()


async def test_measuring_costs_the_same_whatever_is_kept(redis_url: str) -> None:
    """A scrape every few seconds must not slow callbacks down: it counts commands, not seconds."""
    ledger = Ledger(redis_url, RETENTION)

    async def commands() -> int:
        async def asked() -> int:
            return int((await ledger.redis.info("stats"))["total_commands_processed"])

        before = await asked()
        await ledger.measuring.measured(["crm"])
        return await asked() - before

    await commands()
    few = await commands()
    await accept(ledger, *(callback(completed(f"p{n}")) for n in range(300)))
    # At most the first 64 of what is due and of the queue are looked at.
    assert await commands() <= few + 2 * 64 + 5
    await ledger.aclose()
