"""An upgrade without a failed callback: the version before beside this one, there, back, and there again.

`python -m tests.faults.upgrade [REF]`. REF is a tag or commit; it is checked out into a temporary folder with
an environment of its own. All of its processes run first, two receivers among them, behind the front
that we ship; then one after the other is replaced, under steady signed callbacks. The exit code is 0 only if
every callback was answered 2xx, nothing was lost, every event was delivered, and no move was illegal.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from service import logs
from tests import fronts
from tests.faults.upgrade.roll import roll
from tests.faults.upgrade.versions import HERE, MissingError, before, checked_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.upgrade.roll import Front

RATE = 15.0
"""Predictions per second."""
BETWEEN = 40
"""Predictions between two replacements."""
FRONTS: dict[str, Front] = {"nginx": fronts.nginx, "caddy": fronts.caddy}


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.upgrade", description=__doc__)
    parser.add_argument("ref", nargs="?", help="the version to upgrade from")
    parser.add_argument("--json", action="store_true", help="one JSON line on stdout, the rest on stderr")
    parser.add_argument("--rate", type=float, default=RATE, help="predictions per second")
    parser.add_argument("--between", type=int, default=BETWEEN, help="predictions between two replacements")
    parser.add_argument("--front", choices=list(FRONTS), default="nginx", help="of those that deploy/ ships")
    parser.add_argument(
        "--forward", action="store_true", help="not back: for a REF whose ledger this version brings forward"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = _asked(arguments)
    logs.configure("error", "console")
    stream = sys.stderr if options.json else sys.stdout
    folder, began = Path(tempfile.mkdtemp(prefix="catchlight-upgrade-")), time.monotonic()

    def say(what: str) -> None:
        stream.write(f"{time.monotonic() - began:6.1f} s  {what}\n")
        stream.flush()

    try:
        ref, why = (options.ref, "as asked") if options.ref else before()
        say(f"old: {ref} ({why}); new: this tree")
        old = checked_out(ref, folder / "old")
    except MissingError as missing:
        sys.stderr.write(f"error: {missing}\n")
        return 2
    try:
        turns = [HERE] if options.forward else [HERE, old, HERE]
        front, pace = FRONTS[options.front], {"rate": options.rate, "between": options.between}
        summary = roll(folder / "run", old, turns, say, front=front, **pace)
    except AssertionError as failed:
        stream.write(f"FAILED: {failed}\nkept in {folder}\n")
        return 1
    say(
        f"{summary.predictions} predictions, {summary.delivered} deliveries; nothing lost, no illegal move; "
        f"{summary.callbacks} callbacks, {len(summary.refused)} of them not answered 2xx"
    )
    for refused in summary.refused:
        say(f"refused: {refused}")
    way = " → ".join(["old", *(turn.name for turn in turns)])
    stream.write(f"passed: {way}\n" if summary.passed else f"FAILED: {way}; kept in {folder}\n")
    if options.json:
        sys.stdout.write(json.dumps({"ref": ref} | summary.public()) + "\n")
    if summary.passed:
        shutil.rmtree(folder)
    return 0 if summary.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
