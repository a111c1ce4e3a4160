"""F19: what no code of ours has written is set aside, and stops no worker and no prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import keys
from tests.corpus import jobs
from tests.faults.family import Family
from tests.faults.load import Load
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import redis

    from tests.faults.chance import Chance


def plant_records(server: redis.Redis) -> list[str]:
    """Corrupt entries of the ledger, due at once; returns their keys."""
    due = {"no colon": 1, ":": 1, "source:": 1, "source:gone": 1, "source:text": 1, "source:empty": 1}
    server.zadd(keys.DUE_WORK, due)
    server.zadd(keys.DUE_POLL, due | {"source:half": 1})
    server.zadd(keys.DELIVERIES_ACTIVE, {"dlv_gone": 1, "dlv_text": 1, "dlv_half": 1})
    server.zadd(keys.DELIVERIES_WAITING, {"dlv_gone": 1, "dlv_text": 1, "dlv_half": 1})
    planted = [keys.PREDICTION + name for name in ("source:text", "source:empty", "source:half")]
    planted += [keys.DELIVERY + name for name in ("dlv_text", "dlv_half")]
    for name in planted:
        if name.endswith("text"):
            server.set(name, "not a hash")
        else:
            server.hset(name, mapping={"stage": "working", "state": "pending", "known_at": "soon"})
    return planted


def test_f19_hostile_jobs_and_corrupt_entries_cost_no_worker_and_no_prediction(
    tmp_path: Path, chance: Chance
) -> None:
    with Family(tmp_path, chance.seed, ways=()) as family:
        load = Load(family, chance, 60, 20)
        load.reached(10)
        jobs.plant(family.redis, jobs.refused(f"touch {tmp_path / 'canary'}") | jobs.idle())
        jobs.plant_what_is_no_hash(family.redis)
        planted = plant_records(family.redis)
        load.wait()
        wait_until(lambda: not family.redis.llen(jobs.QUEUE), what="the queue is worked off")
        wait_until(lambda: due_now(family.redis) == 0, 20, "nothing corrupt is due for ever")
        family.redis.delete(*planted)
        family.redis.zrem(keys.DELIVERIES_ACTIVE, "dlv_half", "dlv_text", "dlv_gone")
        family.redis.zrem(keys.DELIVERIES_WAITING, "dlv_half", "dlv_text", "dlv_gone")
        account = family.ends_well()
        aside = " ".join(str(line) for line in family.redis.lrange(keys.ASIDE, 0, -1))
    assert [line for line in account.by_what["exit"] if line["target"] != "redis"] == []
    assert not (tmp_path / "canary").exists()
    for name in ("system", "pickle", "callback", "instance"):
        assert name in aside


def due_now(server: redis.Redis) -> int:
    """Entries that were due at the beginning of time and still are."""
    places = (keys.DUE_WORK, keys.DUE_POLL, keys.DELIVERIES_WAITING, keys.DELIVERIES_ACTIVE)
    return sum(int(server.zcount(place, 0, 1_000)) for place in places)
