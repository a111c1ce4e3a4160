"""I10 and F17: what brings down whoever works on it ends after five crashes, and takes nothing with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.family import Family
from tests.faults.load import Load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.chance import Chance

POISON = "faults/poison"


def test_i10_a_poison_prediction_is_dead_after_five_crashes_and_alone(tmp_path: Path, chance: Chance) -> None:
    _poisoned(tmp_path, chance, "kill")


def test_f17_what_spins_is_ended_by_the_watchdog_and_then_like_any_poison(
    tmp_path: Path, chance: Chance, long: bool
) -> None:
    if not long:
        pytest.skip("only with --faults=long: five times the watchdog's patience")
    _poisoned(tmp_path, chance, "spin")


def _poisoned(folder: Path, chance: Chance, act: str) -> None:
    changes = {"failpoints": f"fetch.before={act}~{POISON}"}
    with Family(folder, chance.seed, ways=(), changes=changes) as family:
        load = Load(family, chance, 80, 8)
        load.reached(8)
        # Each crash of a worker takes along what it was sending.
        family.history.write("fault", name=f"poison: {act}", begins=True, in_flight=None)
        family.poison.add(poison := family.submit("clean", model=POISON))
        load.wait()
        account = family.ends_well()
    found = account.found(poison)
    steps = [line["step"] for line in found["timeline"]]
    assert (found["stage"], found["reason"]) == ("dead", "crashes_exhausted")
    assert steps.count("crashed") == 5
