"""F06 and F07: what Redis itself has lost comes back from the provider's list."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.faults.family import Family
from tests.faults.load import Load
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.chance import Chance


def test_f06_a_redis_whose_file_lost_its_last_second_is_made_up_for(tmp_path: Path, chance: Chance) -> None:
    with Family(tmp_path, chance.seed, ways=()) as family:
        load = Load(family, chance, 100, 25)
        load.reached(40)
        file = newest(tmp_path / "valkey")
        size = file.stat().st_size
        load.reached(65)
        family.processes.kill("redis", down_for=1.0)
        wait_until(lambda: family.processes.slots["redis"].pid is None, what="it is dead")
        # In the middle of a command: a power cut asks nobody.
        os.truncate(file, size - int(chance.between(1, 40)))
        # Who was told before is told again, under the same ids, of a completion that came another way.
        family.history.write("fault", name="power cut", begins=True, in_flight=200, forgets=True)
        load.wait()
        family.ends_well()


def newest(folder: Path) -> Path:
    """The append-only file that is being written."""
    return max(folder.rglob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


def test_f07_a_flushed_redis_is_restored_from_the_providers_list(tmp_path: Path, chance: Chance) -> None:
    with Family(tmp_path, chance.seed, ways=()) as family:
        load = Load(family, chance, 60, 20)
        load.reached(40)
        family.redis.flushall()
        family.history.write("fault", name="flushall", begins=True, in_flight=200, forgets=True)
        load.wait()
        family.ends_well()
