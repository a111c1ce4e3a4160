"""How long it takes, at the default settings; and that nothing is told twice when nothing goes wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from service import keys, wavespeed
from tests.faults.family import PACE, Family
from tests.faults.invariants import duplicates
from tests.faults.load import Load
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.chance import Chance

DEFAULTS = {
    "lease": "12s",
    "concurrency": "64",
    "grace": "10s",
    "poll_after": "60s",
    "poll_max": "60s",
    "reconcile_every": "5m",
    "fetch_idle": "15s",
    "fetch_schedule": "2s,10s,1m,5m,30m,2h",
    "hook_schedule": "5s,5m,30m,2h,5h,10h,14h,20h,24h",
}


def test_a_killed_worker_is_made_up_for_within_15_s(tmp_path: Path, chance: Chance) -> None:
    stalling = {"stall": 600.0}
    with Family(tmp_path, chance.seed, ways=(), changes=DEFAULTS, simulator=stalling) as family:
        id_ = family.submit("slow")
        wait_until(lambda: family.stage(id_) == "working", what="the download began")
        for name in ("work-1", "work-2"):
            family.kill(name)
        killed = time.monotonic()
        record = f"{keys.PREDICTION}{wavespeed.SOURCE}:{id_}"
        wait_until(lambda: family.redis.hget(record, "attempts") == b"2", 25, "it is taken again")
        assert time.monotonic() - killed <= 15


def test_a_restarted_redis_costs_at_most_10_s(tmp_path: Path, chance: Chance) -> None:
    with Family(tmp_path, chance.seed, ways=(), changes=DEFAULTS) as family:
        first = family.submit("clean")
        wait_until(lambda: family.stage(first) == "done", what="it works")
        family.kill("redis", down_for=1.0)
        wait_until(lambda: answers(family), what="the server is back")
        back = time.monotonic()
        second = family.submit("clean")
        wait_until(lambda: family.stage(second) == "done", 20, "it works again")
        assert time.monotonic() - back <= 10


def answers(family: Family) -> bool:
    try:
        return bool(family.redis.ping())
    except RedisError:
        return False


def test_without_faults_nothing_is_told_twice(tmp_path: Path, chance: Chance) -> None:
    assert PACE["lease"] == "2s", "short leases: who is slow would be taken for dead"
    with Family(tmp_path, chance.seed, ways=()) as family:
        Load(family, chance, 300, 40).wait()
        account = family.ends_well()
    assert duplicates(account) == 0
