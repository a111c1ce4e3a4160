"""What is counted of a whole installation between two instants: CPU time, Redis' totals, files, fsyncs."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.household import House

COUNTED = {
    "commands": "total_commands_processed",
    "round trips": "total_reads_processed",
    "redis in": "total_net_input_bytes",
    "redis out": "total_net_output_bytes",
    "aof bytes": "aof_current_size",
}
"""What we call it → Redis' name for the running total."""
NAMES = {"serve": "receiver", "work": "worker", "sweep": "sweeper", "Redis": "redis"}

Totals = dict[str, float]


def totals(place: House) -> Totals:
    """Running totals; CPU in milliseconds, sizes in bytes."""
    info = place.server.client.info("stats") | place.server.client.info("persistence")
    scripts = place.server.client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})
    files = [path.stat().st_size for path in _outputs(place.folder)]
    told = [int(line.split()[-1]) for line in place.notes.read_text().splitlines()]
    cpu = {f"{NAMES[name]} ms": 1000 * seconds for name, seconds in place.busy().items()}
    return cpu | {
        **{name: float(info[theirs]) for name, theirs in COUNTED.items()},
        "scripts": float(scripts["calls"]),
        "disk": float(sum(files)),
        "files": float(len(files)),
        "hook calls": float(len(told)),
        "hook bytes": float(sum(told)),
        "at": time.monotonic(),
    }


def _outputs(folder: Path) -> list[Path]:
    return [path for path in (folder / "outputs").rglob("*") if path.is_file()]


def used(place: House) -> int:
    """Bytes of Redis' memory."""
    return int(place.server.client.info("memory")["used_memory"])


def per_one(before: Totals, after: Totals, idle: Totals, count: int) -> Totals:
    """What one of `count` predictions cost; what went on anyway meanwhile is taken off."""
    seconds = after["at"] - before["at"]
    names = [name for name in after if name != "at"]
    return {name: (after[name] - before[name] - idle[name] * seconds) / count for name in names}


def a_second(before: Totals, after: Totals) -> Totals:
    seconds = after["at"] - before["at"]
    return {name: (after[name] - before[name]) / seconds for name in after if name != "at"}


@contextmanager
def fsyncs(pid: int) -> Iterator[list[int]]:
    """How many that process did, in the list once the block has ended; nothing without strace."""
    counted: list[int] = []
    if (strace := shutil.which("strace")) is None:
        yield counted
        return
    command = [strace, "-f", "-c", "-e", "trace=fdatasync,fsync", "-p", str(pid)]
    looking = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        # It says so once it looks.
        if looking.stderr:
            looking.stderr.readline()
        yield counted
    finally:
        looking.send_signal(signal.SIGINT)
        _, said = looking.communicate(timeout=10)
        rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+).*\b(?:fdatasync|fsync)$", said, re.MULTILINE)
        counted.append(sum(map(int, rows)))
