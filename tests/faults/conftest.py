"""What the options `--faults=long` and `--seed N` mean to a test."""

from __future__ import annotations

import pytest

from tests.faults.chance import Chance


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("seed"))


@pytest.fixture
def chance(seed: int, request: pytest.FixtureRequest) -> Chance:
    """Of this test alone: another test's draws do not change its course."""
    return Chance(seed).fork(request.node.name)


@pytest.fixture
def times(long: bool) -> int:
    """How many times as long a fault lasts, and as much comes meanwhile, as every day."""
    return 15 if long else 1


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Is this the long run, and not that of every day?"""
    return bool(request.config.getoption("faults") == "long")
