"""Genuine traffic under attack: how long a genuine callback waits while strangers do their worst.

`python -m tests.faults.attack` measures, in one run and against one receiver: nothing else going on; a
thousand connections that stall; a thousand forged callbacks a second. It prints a table, and exits with 1
when a genuine callback was lost or 99 of 100 were not answered within 250 ms. Senders and attackers have
processes of their own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from service import embedded
from tests.faults.genuine import Told
from tests.serving import role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

P99_MOST = 0.25
"""Seconds: the promise."""
SPARE = 60.0


@dataclass(frozen=True, slots=True)
class Size:
    stalled: int
    """Connections."""
    forged: int
    """Callbacks a second."""
    stalled_for: float
    forged_for: float
    calm_for: float
    rate: float = 20.0
    """Genuine callbacks a second."""


LONG = Size(stalled=1000, forged=1000, stalled_for=60, forged_for=30, calm_for=30)
SHORT = Size(stalled=100, forged=200, stalled_for=3, forged_for=3, calm_for=2)


@dataclass(slots=True)
class Row:
    name: str
    told: Told
    attackers: dict[str, Any] = field(default_factory=dict)

    @property
    def p99(self) -> float:
        return self.told.quantile(0.99)

    @property
    def kept(self) -> bool:
        return not self.told.errors and self.p99 <= P99_MOST

    def __str__(self) -> str:
        times = (self.told.quantile(0.5), self.p99, max(self.told.seconds, default=0.0))
        figures = "".join(f"{1000 * seconds:>9.1f}" for seconds in times)
        did = " ".join(f"{name}={value}" for name, value in self.attackers.items())
        return (
            f"{self.name:<10}{len(self.told.seconds):>9}{figures}{len(self.told.errors):>8}  {did}".rstrip()
        )


HEAD = f"{'':<10}{'genuine':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'errors':>8}  attackers"


def run(folder: Path, size: Size) -> Iterator[Row]:
    """One row after the other, while the receiver and its Redis run in the folder."""
    with embedded.running(folder) as redis_url, role(folder, redis_url) as server:
        yield from rounds(urlsplit(server.url).port or 0, size)


def rounds(port: int, size: Size) -> Iterator[Row]:
    yield Row("calm", told(port, size.rate, size.calm_for, "calm"))
    for kind, many, seconds in (
        ("stalled", size.stalled, size.stalled_for),
        ("forged", size.forged, size.forged_for),
    ):
        with attacking(kind, port, many) as came_to:
            row = Row(kind, told(port, size.rate, seconds, kind), came_to)
        yield row


def told(port: int, rate: float, seconds: float, name: str) -> Told:
    command = [sys.executable, "-m", "tests.faults.genuine", f"--port={port}", f"--rate={rate}"]
    command += [f"--seconds={seconds}", f"--name={name}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=seconds + SPARE)
    return Told(**json.loads(done.stdout))


@contextmanager
def attacking(kind: str, port: int, many: float) -> Iterator[dict[str, Any]]:
    """What it came to is in the dictionary when the block is left."""
    command = [sys.executable, "-m", "tests.faults.attackers", kind, f"--port={port}", f"--many={many}"]
    came_to: dict[str, Any] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", f"{kind} did not begin"
            yield came_to
            process.terminate()
            came_to |= json.loads(process.communicate(timeout=SPARE)[0])
        finally:
            process.kill()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.attack", description=__doc__)
    parser.add_argument("--short", action="store_true", help="as every day")
    options = parser.parse_args(arguments)
    sys.stdout.write(HEAD + "\n")
    kept = True
    with tempfile.TemporaryDirectory(prefix="catchlight-attack-") as folder:
        for row in run(Path(folder), SHORT if options.short else LONG):
            kept &= row.kept
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
