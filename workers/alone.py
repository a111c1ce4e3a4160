"""A suspect runs in a process of its own, so that what it brings down is itself."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from service.prediction import Ref

log = structlog.get_logger("work")

HAND_BACK = 5.0
"""Seconds that a child has to stop when it is told to."""


async def run(ref: Ref, token: str, patience: float) -> int | None:
    """`python -m workers alone SOURCE ID TOKEN`, which commits under our lease, within `patience` seconds.

    Returns its exit code, negative for a signal. What it has not committed by then, it never will.
    """
    # -P, lest a folder called `workers` where we stand is taken for ours.
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "workers", "alone", ref.source, ref.id, token,
        stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(patience):
            await child.wait()
    except TimeoutError:
        # It spins or hangs, and would hold its lease for ever.
        child.kill()
        await child.wait()
    except asyncio.CancelledError:
        await _stopped(child)
        raise
    log.info("alone.ended", exit_code=child.returncode)
    return child.returncode


async def _stopped(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(HAND_BACK):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
