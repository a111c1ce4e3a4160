"""The concurrent worker with jobs that do nothing: what taking, starting and finishing cost.

`python -m tests.bench.noop REDIS_URL`
"""

from __future__ import annotations

import asyncio
import sys

from service.queues import PROCESS
from workers.loop import Loop
from workers.worker import ConcurrentWorker, connect


async def nothing(*_: str) -> None:
    pass


async def run(url: str) -> None:
    worker = ConcurrentWorker(connect(url), "noop")
    worker.beat([])
    await Loop(worker, {PROCESS: nothing}, 64).run(1)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
