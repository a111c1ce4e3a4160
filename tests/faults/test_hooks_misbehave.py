"""F13: what one hook does to us is no other hook's matter, and nothing is lost to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.faults.bad_hooks import BadHooks
from tests.faults.family import Family
from tests.faults.load import Load
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.chance import Chance

SOON = 10.0
"""Seconds; the bad hooks hold up their own for minutes."""


def test_f13_bad_hooks_delay_themselves_alone_and_get_everything_in_the_end(
    tmp_path: Path, chance: Chance
) -> None:
    with (
        BadHooks(tmp_path) as bad,
        Family(tmp_path / "f", chance.seed, ways=(), more_hooks=bad.toml, sinks=bad.sinks) as family,
    ):
        Load(family, chance, 60, 20).wait()
        wait_until(lambda: bad.bad_answers > 50, what="the bad hooks were tried")
        submitted = time.monotonic()
        id_ = family.submit("clean")
        wait_until(lambda: told(family, id_), SOON, "the good hook is told at once")
        assert time.monotonic() - submitted < SOON
        bad.well = True
        family.ends_well()
        taken = len(bad.sinks["endless"].seen)
        assert bad.endless_bytes < taken * 16 * 1024 * 1024, "an endless answer was read on and on"


def told(family: Family, id_: str) -> bool:
    return any(line["prediction"] == id_ for line in family.sinks["sample"].seen)
