"""Every test is run once, whoever runs it, and the long ones are shared out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.sharing import LONG, shared_out


def items(long: int, short: int) -> list[Any]:
    names = [f"{LONG[n % 2]}test_{n}.py" for n in range(long)]
    return [SimpleNamespace(nodeid=name) for name in [*names, *(f"tests/test_{n}.py" for n in range(short))]]


@pytest.mark.parametrize(("long", "short"), [(0, 0), (5, 2), (10, 100), (200, 5_000)])
@pytest.mark.parametrize("workers", [1, 3, 4])
def test_each_is_run_once(workers: int, long: int, short: int) -> None:
    given = items(long, short)
    order = shared_out(given, workers)
    assert len(order) == len(given)
    assert {id(one) for one in order} == {id(one) for one in given}


def test_each_worker_has_its_share_of_the_long_ones_and_ends_with_short_ones() -> None:
    order = shared_out(items(12, 288), 3)
    for part in (order[:100], order[100:200], order[200:]):
        at = [number for number, one in enumerate(part) if one.nodeid.startswith(LONG)]
        assert len(at) == 4
        assert at[0] == 0
        assert 60 < at[-1] < 80
