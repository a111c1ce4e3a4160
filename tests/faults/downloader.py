"""Downloads by a process of their own, whose memory nothing else fills; each with what it cost."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from service.errors import CatchlightError
from tests import resident
from tests.downloads import FLIGHT, GUARD, LIMITS, word
from workers.fetch import open_download
from workers.guard import GuardedSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Cost:
    word: str
    """Of the outcome; the extension of a file that came whole."""
    said: str
    seconds: float
    rise: int
    """Bytes of memory at its peak, above what the process had before."""
    stalled: float
    """Seconds of the longest time in which nothing else could run on the loop."""


class Downloader:
    """In the parent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def download(self, url: str, headers: Mapping[str, str] | None = None, **limits: float | None) -> Cost:
        """`headers` instead of our own of these names; `limits` by their names."""
        assert self._process.stdin
        assert self._process.stdout
        request = {"url": url, "headers": dict(headers or {}), "limits": limits}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Cost(**json.loads(self._process.stdout.readline()))


@contextmanager
def downloader(url: str) -> Iterator[Downloader]:
    """It has downloaded `url` once, so that what it has in memory is what it needs at rest."""
    command = [sys.executable, "-m", "tests.faults.downloader"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        started = Downloader(process)
        started.download(url)
        yield started


async def _download(url: str, headers: Mapping[str, str], limits: Mapping[str, Any]) -> tuple[str, str]:
    async with GuardedSession(GUARD, connections=4) as session:
        session.unguarded.headers.update(headers)
        try:
            async with open_download(session, url, replace(LIMITS, **limits), FLIGHT) as found:
                size = 0
                async for part in found:
                    size += len(part)
                return found.type.extension, f"{size} bytes"
        except CatchlightError as error:
            return word(error), str(error)


async def _watch(stalls: list[float]) -> None:
    pause = 0.01
    while True:
        began = time.monotonic()
        await asyncio.sleep(pause)
        stalls.append(time.monotonic() - began - pause)


async def _measured(request: Mapping[str, Any]) -> Cost:
    stalls = [0.0]
    watching = asyncio.create_task(_watch(stalls))
    resident.forget_peak(os.getpid())
    before, began = resident.resident(os.getpid()), time.monotonic()
    outcome, said = await _download(**request)
    seconds, rise = time.monotonic() - began, resident.peak(os.getpid()) - before
    watching.cancel()
    return Cost(outcome, said, seconds, rise, max(stalls))


def main() -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(asdict(asyncio.run(_measured(json.loads(line))))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
