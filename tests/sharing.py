"""How the tests are shared out among pytest-xdist's workers: as many of the long ones for each, and spread.

In the order of the files one worker is handed the longest ones last, and the others wait for it for minutes.
All of them at once would be no better: each starts a dozen processes, and two cores have to get all of these
ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

LONG = ("tests/faults/", "tests/stories/")
EARLY = 0.8
"""Of a worker's part, within which its long tests stand: what it does last is short."""


def shared_out(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """In an order of which `--dist=worksteal` gives each worker an equal part in one piece to begin with."""
    long = [item for item in items if item.nodeid.startswith(LONG)]
    short = [item for item in items if not item.nodeid.startswith(LONG)]
    order: list[pytest.Item] = []
    for worker in range(workers):
        mine = long[worker::workers]
        size = (len(items) - len(order)) // (workers - worker)
        rest = max(size - len(mine), 0)
        order += _spread(mine, short[:rest])
        short = short[rest:]
    return order + short


def _spread(long: Sequence[pytest.Item], short: Sequence[pytest.Item]) -> list[pytest.Item]:
    order, done = [], 0
    for number, item in enumerate(long, 1):
        order.append(item)
        upto = round(len(short) * EARLY * number / len(long))
        order += short[done:upto]
        done = upto
    return [*order, *short[done:]]
