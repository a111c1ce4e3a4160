"""Every test is run once, whoever runs it, and the long ones first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.sharing import LONG, LONGEST, shared_out


def items(long: int, short: int) -> list[Any]:
    names = [LONGEST, *(f"{LONG[n % 2]}test_{n}.py" for n in range(long))]
    return [SimpleNamespace(nodeid=name) for name in [*names, *(f"tests/test_{n}.py" for n in range(short))]]


@pytest.mark.parametrize(("long", "short"), [(0, 0), (5, 2), (10, 100), (200, 5_000)])
@pytest.mark.parametrize("workers", [1, 3, 4])
def test_each_is_run_once(workers: int, long: int, short: int) -> None:
    given = items(long, short)
    order = shared_out(given, workers)
    assert sorted(one.nodeid for one in order) == sorted(one.nodeid for one in given)
    assert len({id(one) for one in order}) == len(given)


def test_each_worker_begins_with_its_share_of_the_long_ones() -> None:
    order = shared_out(items(11, 288), 3)
    for part in (order[:100], order[100:200], order[200:]):
        long = [one.nodeid.startswith(LONG) for one in part]
        assert long == [True] * 4 + [False] * 96
    assert order[0].nodeid == LONGEST
