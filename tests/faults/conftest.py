"""Options of the fault suites: `--faults=long` for the long run, `--seed N` for another course of events."""

from __future__ import annotations

import pytest

from tests.faults.chance import Chance


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", choices=("short", "long"), default="short", help="size of the fault suites")
    parser.addoption("--seed", type=int, default=1, help="what the faults' chance begins with")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    # Collected from above, this file is read too late to add options; then the defaults hold.
    return int(request.config.getoption("seed", 1))


@pytest.fixture
def chance(seed: int, request: pytest.FixtureRequest) -> Chance:
    """Of this test alone: another test's draws do not change its course."""
    return Chance(seed).fork(request.node.name)


@pytest.fixture
def long(request: pytest.FixtureRequest) -> None:
    """Asked for by what is too long for every day."""
    if request.config.getoption("faults", "short") != "long":
        pytest.skip("only with --faults=long")
