"""What only the workers' room can do, done by a process of it: the service does not import it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from service.cli.processes import python
from service.errors import CatchlightError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ErrandFailed(CatchlightError):  # noqa: N818  # it names what happened
    pass


async def run(*arguments: str, patience: float, environment: Mapping[str, str] | None = None) -> Any:
    """The JSON value that `python -m workers …` prints within `patience` seconds. Raises ErrandFailed."""
    process = await asyncio.create_subprocess_exec(
        *python("workers", *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complained = await asyncio.wait_for(process.communicate(), patience)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ErrandFailed(f"no answer within {patience:g} s") from None
    if process.returncode:
        lines = complained.decode("utf-8", "replace").strip().splitlines()
        said_last = lines[-1].removeprefix("error: ") if lines else ""
        raise ErrandFailed(said_last or f"exit code {process.returncode}")
    return json.loads(said)
