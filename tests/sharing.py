"""How the tests are shared out among pytest-xdist's workers: the long ones first, and as many for each.

In the order of the files one worker is handed the longest ones last, and the others wait for it for minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

LONG = ("tests/faults/", "tests/stories/")
LONGEST = "tests/faults/test_failpoints.py"


def shared_out(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """In an order of which `--dist=worksteal` gives each worker an equal part in one piece to begin with."""
    long = [item for item in items if item.nodeid.startswith(LONG)]
    long.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    short = [item for item in items if not item.nodeid.startswith(LONG)]
    order: list[pytest.Item] = []
    for worker in range(workers):
        mine = long[worker::workers]
        size = (len(items) - len(order)) // (workers - worker)
        rest = max(size - len(mine), 0)
        order += [*mine, *short[:rest]]
        short = short[rest:]
    return order + short
