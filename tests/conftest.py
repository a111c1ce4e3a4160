"""Fixtures that every room shares: a real server per session, an empty database and a clock per test."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

# CPython 3.11 cannot parse in two threads at once (gh-106905); hypothesis would load this in mid-test, while
# a thread of another test parses too.
import hypothesis.internal.conjecture.optimiser  # noqa: F401 - loaded for that alone
import pytest
import redis

from service import embedded
from service.ledger import Ledger
from tests.builders import RETENTION, Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Of the fault suites; they stand here, as pytest reads options only from the uppermost conftest."""
    parser.addoption("--faults", choices=("short", "long"), default="short", help="size of the fault suites")
    parser.addoption("--seed", type=int, default=1, help="what the faults' chance begins with")


def pytest_configure() -> None:
    """Nothing that is collected goes before the end, and looking through it again and again costs seconds."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded server of this session's own."""
    with embedded.running(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """An empty database."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(redis_url: str, clock: Clock) -> AsyncIterator[Ledger]:
    """An empty ledger on the test's clock."""
    opened = Ledger(redis_url, RETENTION, virtual_now=clock)
    yield opened
    await opened.aclose()
