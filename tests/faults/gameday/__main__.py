"""Six things go wrong, one by one: each must raise its alert and its banner, and the runbook must end it.

`python -m tests.faults.gameday [DRILL] [--list] [--json] [--at-once N]`. Real processes, a real Redis and a
real Prometheus on loopback, each drill with its own. The exit code is 0 only if all pass.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from service import logs
from tests.faults.gameday.drill import Course, Drill, Report
from tests.faults.gameday.drills import DRILLS
from tests.faults.gameday.watch import SHORTENED

if TYPE_CHECKING:
    from collections.abc import Sequence

AT_ONCE = 3
_NEEDS = {"prometheus": "prometheus", "redis-server": "redis-server", "curl": "curl"}
"""Program → the package of Debian that has it."""
_ROW = "{:<14}{:<28}{:>8}{:>11}{:>14}{:>10}{:>13}  {}\n"


class Teller:
    """One line per step, whichever drill it is of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def say(self, drill: str, what: str) -> None:
        with self._lock:
            self._stream.write(f"{time.monotonic() - self._began:6.1f} s  {drill:<14}{what}\n")
            self._stream.flush()


def table(reports: Sequence[Report]) -> str:
    head = _ROW.format(
        "drill", "alert", "passed", "fires in s", "resolves in s", "seconds", "predictions", ""
    )
    return head + "".join(
        _ROW.format(
            one.drill,
            one.alert,
            "yes" if one.passed else "NO",
            f"{one.fired_after:.1f}",
            f"{one.resolved_after:.1f}",
            f"{one.seconds:.1f}",
            one.predictions,
            one.problem.partition("\n")[0],
        ).rstrip()
        + "\n"
        for one in reports
    )


def drills(name: str | None) -> Sequence[Drill]:
    return [drill for drill in DRILLS if name in (None, drill.name)]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.gameday", description=__doc__)
    names = [drill.name for drill in DRILLS]
    parser.add_argument("drill", nargs="?", choices=names, help="only this one")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--json", action="store_true", help="one JSON line on stdout; the table on stderr")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="drills side by side")
    options = parser.parse_args(arguments)
    if options.list:
        for drill in DRILLS:
            sys.stdout.write(f"{drill.name:<14}{drill.alert:<28}{drill.about}\n")
        return 0
    if missing := [package for program, package in _NEEDS.items() if shutil.which(program) is None]:
        sys.stderr.write(f"error: missing here: apt-get install {' '.join(missing)}\n")
        return 2
    chosen = drills(options.drill)
    # Its own waiting is said on stderr, if at all: stdout is the table's, or the JSON's.
    logs.configure("error", "console")
    stream = sys.stderr if options.json else sys.stdout
    stream.write(f"{SHORTENED}\n")
    teller = Teller(stream)
    folder = Path(tempfile.mkdtemp(prefix="catchlight-gameday-"))
    began = time.monotonic()
    with ThreadPoolExecutor(options.at_once) as pool:
        reports = list(pool.map(lambda drill: Course(drill, folder / drill.name, teller.say).run(), chosen))
    passed = all(report.passed for report in reports)
    stream.write(f"\n{table(reports)}{SHORTENED}\n")
    if options.json:
        seconds = round(time.monotonic() - began, 1)
        told = {"passed": passed, "seconds": seconds, "shortened": SHORTENED}
        told["drills"] = [report.public() for report in reports]
        sys.stdout.write(json.dumps(told) + "\n")
    if passed:
        shutil.rmtree(folder)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
