"""Several processes of one role, under a parent that restarts what dies and drains all on a signal."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from service.cli.supervisor import (
    KILL_MARGIN,
    Child,
    ChildFailed,
    Supervisor,
    keep_until_signal,
    to_stderr,
)
from service.settings.environment import SHARD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def python(module: str, *arguments: str) -> list[str]:
    """A module of ours as a command line; -P, lest a folder `workers` where we stand is taken for ours."""
    return [sys.executable, "-P", "-m", module, *arguments]


def several(role: str, command: list[str], environment: Mapping[str, str], processes: int) -> list[Child]:
    """`work-1`, `work-2`; one alone is `work`. Of a shard, its name stands in between."""
    shard = environment.get(SHARD)
    name = f"{role}-{shard}" if shard else role
    names = [f"{name}-{number}" for number in range(1, processes + 1)] if processes > 1 else [name]
    return [Child(one, command, environment, f"ready role={role}") for one in names]


def run(children: Sequence[Child], grace: float) -> int:
    """Until a signal and the drain after it. The exit code: 0, or that of a child that cannot start."""
    try:
        asyncio.run(keep_until_signal(Supervisor(children, relay=to_stderr, grace=grace + KILL_MARGIN)))
    except ChildFailed as failure:
        sys.stderr.write(f"error: {failure}\n")
        return failure.code
    return 0
