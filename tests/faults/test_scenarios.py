"""The faults that a Catchlight must survive, each in a small form: nothing lost, doubled, stuck or leaked."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from service.prediction import TERMINAL
from service.simulator.scenario import Scenario
from tests import disks
from tests.faults import proxy
from tests.faults.family import Family
from tests.faults.load import MIX, Load
from tests.faults.prober import Prober
from tests.waiting import wait_until
from workers.room import COME_BACK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.chance import Chance

OUTAGES = (0.5, 1.0, 3.0)
OUTAGES_LONG = (1, 10, 30, 1, 10, 1, 1, 10, 1, 1)
"""Seconds that Redis is down."""


def pause(chance: Chance, low: float, high: float) -> None:
    """Between two faults; what happens meanwhile is the test."""
    time.sleep(chance.between(low, high))


def test_f01_to_f04_killed_processes_lose_nothing(tmp_path: Path, chance: Chance, times: int) -> None:
    with Family(tmp_path, chance.seed, ways=()) as family:
        load = Load(family, chance, 200 * times, 20)
        while load.running:
            pause(chance, 0.2, 0.8)
            family.kill(chance.one(["serve", "work-1", "work-2", "sweep"]), group=chance.happens(0.5))
        family.ends_well()


def test_f05_a_killed_redis_is_a_503_and_then_a_delay(tmp_path: Path, chance: Chance, long: bool) -> None:
    with Family(tmp_path, chance.seed, ways=()) as family, Prober(family) as prober:
        load = Load(family, chance, 2_000 if long else 120, 15)
        for down_for in OUTAGES_LONG if long else OUTAGES:
            pause(chance, 0.5, 1.5)
            family.kill("redis", down_for=down_for)
            wait_until(lambda: prober.last_status == 503, what="a callback is answered 503")
            wait_until(lambda: prober.last_status == 200, down_for + 15, "a callback is answered 200 again")
        id_ = family.submit("clean")
        wait_until(lambda: family.stage(id_) == "done", 10, "workers are back within 10 s")
        load.wait()
        family.ends_well()


def test_f08_a_full_redis_is_a_503_and_then_a_delay(tmp_path: Path, chance: Chance, times: int) -> None:
    # Much that is due while it is full: polls, retries, rings.
    mix = {Scenario.CLEAN: 40, Scenario.LATE: 30, Scenario.LOST: 10, Scenario.FLAKY: 20}
    with Family(tmp_path, chance.seed, ways=()) as family, Prober(family) as prober:
        load = Load(family, chance, 150 * times, 25, mix)
        load.reached(75)
        family.redis.config_set("maxmemory", 1_000_000)
        family.history.write("fault", name="redis full", begins=True, in_flight=None)
        wait_until(lambda: prober.last_status == 503, what="a callback is answered 503")
        pause(chance, 3 * times, 4 * times)
        assert prober.last_status == 503
        family.redis.config_set("maxmemory", 0)
        load.wait()
        family.ends_well()


def test_f09_a_redis_that_is_hard_to_reach_hangs_nobody(tmp_path: Path, chance: Chance, times: int) -> None:
    with Family(tmp_path, chance.seed, ways=("redis",)) as family, Prober(family):
        load = Load(family, chance, 120 * times, 10)
        for mode in (proxy.BLACK_HOLE, proxy.RESET, proxy.delay(0.2)):
            pause(chance, 0.5, 1)
            family.fault("redis", mode)
            pause(chance, 2 * times, 3 * times)
            family.fault("redis", proxy.PASS)
        load.wait()
        family.ends_well()


def test_f10_a_storage_that_is_gone_for_a_while_delays_and_acks_go_on(
    tmp_path: Path, chance: Chance, times: int
) -> None:
    with Family(tmp_path, chance.seed, ways=()) as family, Prober(family) as prober:
        load = Load(family, chance, 60 * times, 15)
        load.reached(20)
        away = family.storage.with_name("away")
        away.write_text("no folder")
        # At once, for in between a worker would make a folder of its own there.
        disks.exchange(family.storage, away)
        pause(chance, 2 * times, 3 * times)
        assert prober.last_status == 200
        disks.exchange(family.storage, away)
        away.unlink()
        load.wait()
        family.ends_well()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small_disk(tmp_path / "small", "512k") as folder:
        yield folder


def test_f10_a_full_disk_delays_and_leaves_no_halves(
    small_disk: Path, tmp_path: Path, chance: Chance
) -> None:
    # Nothing is kept free, so that it is full to the last byte.
    changes = {"storage_url": small_disk.as_uri(), "disk_free": "1"}
    big = {"media_bytes": 40_000}
    with Family(tmp_path / "family", chance.seed, ways=(), changes=changes, simulator=big) as family:
        family.storage = small_disk
        load = Load(family, chance, 60, 15)
        load.wait()
        pause(chance, 1, 2)
        disks.grow(small_disk, "64m")
        family.ends_well()


def test_f10_a_disk_that_runs_short_stops_the_fetching_alone(
    small_disk: Path, tmp_path: Path, chance: Chance
) -> None:
    """No try is used up by it, of which there are two; acknowledgements, events and texts go on."""
    disks.grow(small_disk, "16m")
    changes = {"storage_url": small_disk.as_uri(), "fetch_schedule": "200ms"}
    with (
        Family(tmp_path / "family", chance.seed, ways=(), changes=changes) as family,
        Prober(family) as prober,
    ):
        family.storage = small_disk
        filler = small_disk / "filler"
        filler.write_bytes(bytes((16 << 20) - 200_000))
        logs = [family.processes.slots[f"work-{number}"] for number in (1, 2)]
        wait_until(lambda: all("disk.short" in one.said() for one in logs), what="the workers see it")
        waiting = [family.submit("clean") for _ in range(30)]
        going_on = [family.submit(scenario) for scenario in ("text", "failed") * 5]
        wait_until(lambda: all(family.stage(id_) in TERMINAL for id_ in going_on), what="others end")
        wait_until(lambda: len(family.sinks["sample"].seen) >= len(going_on), what="and are told")
        # Longer than a prediction is put off for: each comes round at least once.
        pause(chance, COME_BACK + 2, COME_BACK + 3)
        assert {family.stage(id_) for id_ in waiting} == {"accepted"}
        assert prober.last_status == 200
        filler.unlink()
        account = family.ends_well()
        assert {account.found(id_)["stage"] for id_ in waiting} == {"done"}
        assert {account.found(id_)["attempts"] for id_ in waiting} == {1}
        assert [one.said().count("disk.short") for one in logs] == [1, 1]
        assert [one.said().count("disk.has_room") for one in logs] == [1, 1]


def test_f12_an_origin_that_fails_is_asked_again(tmp_path: Path, chance: Chance, times: int) -> None:
    modes = [proxy.BLACK_HOLE, proxy.REFUSE, proxy.RESET, proxy.cut(2000), proxy.drip(2000)]
    with Family(tmp_path, chance.seed, ways=("origin",)) as family:
        load = Load(family, chance, 120 * times, 15)
        # Longer runs have more of them, not longer ones: nobody's tries are to run out.
        for mode in [*modes, proxy.UNAVAILABLE] * times:
            family.fault("origin", mode)
            pause(chance, 1, 2)
            if times > 1:
                family.fault("origin", proxy.PASS)
                pause(chance, 1, 2)
        load.wait()
        family.ends_well()


def test_f14_lost_doubled_reordered_and_stale_callbacks(tmp_path: Path, chance: Chance, times: int) -> None:
    bad = {Scenario.LOST: 30, Scenario.DUPLICATE: 10, Scenario.OUT_OF_ORDER: 10, Scenario.LATE: 5}
    mix = {Scenario.CLEAN: 30, Scenario.FORGED: 5} | bad
    with Family(tmp_path, chance.seed, ways=()) as family:
        Load(family, chance, 150 * times, 40, mix, unannounced=0.1).wait()
        account = family.ends_well()
    lost = [line["id"] for line in account.predictions if line["scenario"] in (Scenario.LOST, Scenario.LATE)]
    assert {account.found(id_)["received_via"] for id_ in lost} <= {"poll", "reconcile"}


def test_f16_a_provider_that_fails_while_polling_is_caught_up_with(
    tmp_path: Path, chance: Chance, times: int
) -> None:
    mix = {Scenario.LOST: 50, Scenario.CLEAN: 50}
    config = {"fault_rate": 0.2}
    with Family(tmp_path, chance.seed, ways=("provider",), simulator=config) as family:
        load = Load(family, chance, 60 * times, 20, mix)
        family.fault("provider", chance.one([proxy.BLACK_HOLE, proxy.RESET, proxy.REFUSE, proxy.UNAVAILABLE]))
        pause(chance, 2 * times, 3 * times)
        load.wait()
        family.ends_well()


def test_f18_a_rolling_deploy_answers_no_5xx_and_loses_nothing(tmp_path: Path, chance: Chance) -> None:
    with Family(tmp_path, chance.seed, ways=(), workers=1) as family:
        load = Load(family, chance, 120, 20, MIX)
        for generation in (2, 3):
            for role, old in (("serve", "serve"), ("work", "work-1"), ("sweep", "sweep")):
                before = old if generation == 2 else f"{role}-new{generation - 1}"
                family.add(f"{role}-new{generation}")
                assert family.processes.retire(before) == 0
        load.wait()
        account = family.ends_well()
    statuses = {line["status"] for line in account.by_what["callback"]}
    assert statuses <= {200, 202, 401, None}


def test_f20_who_was_stopped_beyond_his_lease_commits_nothing(tmp_path: Path, chance: Chance) -> None:
    with Family(tmp_path, chance.seed, ways=()) as family:
        family.add("sweep-2")
        load = Load(family, chance, 100, 15)
        for name in ("work-1", "sweep", "work-2"):
            pause(chance, 0.3, 0.8)
            family.processes.signal(name, signal.SIGSTOP)
            family.history.write("fault", name=f"{name} stopped", begins=True, in_flight=None)
            pause(chance, 2.5, 3.5)
            family.processes.signal(name, signal.SIGCONT)
        load.wait()
        family.ends_well()
