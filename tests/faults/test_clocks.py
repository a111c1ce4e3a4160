"""F15: clocks that are wrong, and a server's clock that is set while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.family import Family
from tests.faults.load import Load
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.faults.chance import Chance

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="no libfaketime on this machine; CI installs it")


def faked(by: str = "", file: Path | None = None) -> dict[str, str]:
    """Environment of a process whose time of day is off, by so much or as the file says from then on."""
    said = {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"} if file else {"FAKETIME": by}
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME_DONT_FAKE_MONOTONIC": "1", **said}


@pytest.fixture
def clock_of_redis(tmp_path: Path) -> Path:
    file = tmp_path / "clock"
    file.write_text("+0s\n")
    return file


def test_f15_a_receiver_and_a_sweeper_whose_clocks_are_off_lose_nothing_and_say_so(
    tmp_path: Path, chance: Chance
) -> None:
    variables = {"serve": faked("-400s"), "sweep": faked("+400s")}
    with Family(tmp_path, chance.seed, ways=(), variables=variables) as family:
        Load(family, chance, 40, 20).wait()
        account = family.ends_well()
        said = {name: family.processes.slots[name].said() for name in ("serve", "sweep", "work-1")}
    assert {line["status"] for line in account.by_what["callback"] if line["kind"] == "genuine"} == {202}
    assert ["clock.apart" in said[name] for name in said] == [True, True, False]


@pytest.mark.parametrize("by", ["-3600s", "+3600s"])
def test_f15_a_redis_whose_clock_is_set_reclaims_nothing_early_and_leaves_nothing_waiting(
    tmp_path: Path, chance: Chance, clock_of_redis: Path, by: str
) -> None:
    variables = {"redis": faked(file=clock_of_redis)}
    with Family(tmp_path, chance.seed, ways=(), variables=variables) as family:
        load = Load(family, chance, 120, 15)
        load.reached(40)
        clock_of_redis.write_text(f"{by}\n")
        wait_until(lambda: "redis.clock_set" in family.processes.slots["sweep"].said(), what="it is noticed")
        load.wait()
        family.calm()
        family.settle()
        # Instants of the ledger are an hour off, and so say nothing of how long anything took.
        account = family.judge(ignore=["I5 stuck"])
    steps = [line["step"] for one in account.predictions for line in account.found(one["id"])["timeline"]]
    assert "crashed" not in steps
