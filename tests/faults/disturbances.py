"""What can be done to a family while it works: each disturbance begins, lasts a while, and ends by itself."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tests.faults import proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.faults.chance import Chance
    from tests.faults.family import Family

    Disturbance = Callable[[Family, Chance], None]


def kill_a_worker(family: Family, chance: Chance) -> None:
    workers = [name for name in family.processes.slots if name.startswith("work")]
    family.kill(chance.one(workers), group=chance.happens(0.5))


def kill_the_receiver(family: Family, chance: Chance) -> None:
    family.kill("serve", group=chance.happens(0.5))


def kill_the_sweeper(family: Family, chance: Chance) -> None:
    family.kill("sweep", group=chance.happens(0.5))


def kill_everything(family: Family, chance: Chance) -> None:
    for name in family.processes.slots:
        family.kill(name, down_for=chance.between(0, 1))


def kill_redis(family: Family, chance: Chance) -> None:
    family.kill("redis", down_for=chance.one([0.2, 1.0, 3.0]))


def stop_a_process(family: Family, chance: Chance) -> None:
    name = chance.one([name for name in family.processes.slots if name != "redis"])
    family.history.write("fault", name=f"{name} stopped", begins=True, in_flight=None)
    family.processes.signal(name, signal.SIGSTOP)
    time.sleep(chance.between(0.5, 4))
    family.processes.signal(name, signal.SIGCONT)


def fill_redis(family: Family, chance: Chance) -> None:
    family.history.write("fault", name="redis full", begins=True, in_flight=None)
    family.redis.config_set("maxmemory", 1_000_000)
    time.sleep(chance.between(1, 4))
    family.redis.config_set("maxmemory", 0)


def take_the_storage_away(family: Family, chance: Chance) -> None:
    family.history.write("fault", name="storage away", begins=True, in_flight=0)
    away = family.storage.with_name("away")
    family.storage.rename(away)
    family.storage.write_text("no folder")
    time.sleep(chance.between(0.5, 3))
    family.storage.unlink()
    away.rename(family.storage)


def _break(way: str) -> Disturbance:
    def disturbance(family: Family, chance: Chance) -> None:
        modes = [proxy.BLACK_HOLE, proxy.REFUSE, proxy.RESET, proxy.cut(3_000), proxy.drip(20_000)]
        if way != "redis":
            modes.append(proxy.UNAVAILABLE)
        family.fault(way, chance.one([*modes, proxy.delay(0.2)]))
        time.sleep(chance.between(0.5, 4))
        family.fault(way, proxy.PASS)

    return disturbance


WEIGHTS: Mapping[Disturbance, float] = {
    kill_a_worker: 30,
    kill_the_receiver: 10,
    kill_the_sweeper: 8,
    kill_everything: 2,
    kill_redis: 6,
    stop_a_process: 5,
    fill_redis: 3,
    take_the_storage_away: 3,
    _break("redis"): 6,
    _break("origin"): 8,
    _break("provider"): 5,
    _break("hook"): 8,
}


def disturb(family: Family, chance: Chance) -> None:
    chance.weighted(WEIGHTS)(family, chance)
