"""Failpoints: what can be armed, when each acts, and that unarmed ones do nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from service import failpoints
from service.errors import ConfigError
from service.failpoints import FailpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm(None)


def test_every_name_stands_once() -> None:
    assert len(set(failpoints.NAMES)) == len(failpoints.NAMES)


async def test_unarmed_nothing_happens() -> None:
    for name in failpoints.NAMES:
        await failpoints.reach(name)


async def test_it_acts_the_nth_time_and_only_then() -> None:
    failpoints.arm("lease.taken=raise@3")
    for _ in range(2):
        await failpoints.reach("lease.taken")
    with pytest.raises(FailpointError):
        await failpoints.reach("lease.taken")
    await failpoints.reach("lease.taken")


async def test_for_a_model_it_acts_each_time_and_for_no_other() -> None:
    failpoints.arm("fetch.before=raise~acme/poison")
    await failpoints.reach("fetch.before", "acme/painter")
    for _ in range(2):
        with pytest.raises(FailpointError):
            await failpoints.reach("fetch.before", "acme/poison-1")


async def test_a_stall_is_as_long_as_it_says_and_a_thread_stalls_too() -> None:
    failpoints.arm("lease.taken=stall:1ms,finish.before=stall:1ms")
    await failpoints.reach("lease.taken")
    failpoints.reach_in_thread("finish.before")


@pytest.mark.parametrize(
    "text",
    ["nowhere=kill", "lease.taken=explode", "lease.taken=stall:soon", "lease.taken", "lease.taken=kill@0"],
)
def test_what_cannot_be_armed_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="CATCHLIGHT_FAILPOINTS") as refused:
        failpoints.arm(text)
    assert text in str(refused.value)


def test_a_kill_is_a_kill() -> None:
    code = (
        "from service import failpoints as f; f.arm('finish.before=kill'); f.reach_in_thread('finish.before')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
