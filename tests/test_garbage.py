"""What a long-lived process tells Python's collector."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

STORY = """
import gc, json
from service import garbage
garbage.settle()
kept = gc.get_freeze_count()
class Ring: pass
ring = Ring()
ring.itself = ring
del ring
print(json.dumps([gc.isenabled(), kept, gc.get_threshold()[0], gc.collect() > 0]))
"""


def test_what_is_imported_is_looked_at_no_more_and_what_comes_is_collected_as_before() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STORY],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    enabled, kept, threshold, collected = json.loads(done.stdout)
    assert enabled
    assert kept > 1000
    assert threshold > 700
    assert collected
