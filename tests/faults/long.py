"""The long fault run: everything at once, in episodes that each can be repeated from their seed.

`python -m tests.faults.long --seed N [--predictions 40000]`, or pytest with `--faults=long --seed N`.
Each episode is a family of its own; a broken one leaves its folder and prints its report, and the exit
code is 1.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.account import Account
from tests.faults.chance import Chance
from tests.faults.checker import check, report
from tests.faults.disturbances import disturb
from tests.faults.family import Family
from tests.faults.history import read
from tests.faults.invariants import duplicates
from tests.faults.load import Load

if TYPE_CHECKING:
    from collections.abc import Sequence

EPISODE = 2_000
RATE = 25.0
"""Predictions per second."""
SETTLED_WITHIN = 150.0


@dataclass(slots=True)
class Summary:
    seed: str
    predictions: int = 0
    kills: int = 0
    faults: int = 0
    lost: int = 0
    violations: int = 0
    deliveries: int = 0
    duplicated: int = 0
    recovery: float = 0.0
    """Seconds from the last fault to the last end."""
    seconds: float = 0.0


def episode(
    folder: Path, seed: str, predictions: int, rate: float = RATE, pace: tuple[float, float] = (0.3, 2.0)
) -> tuple[Summary, str]:
    """What it came to, and the report, empty when all is well. `pace`: seconds between two disturbances."""
    began = time.monotonic()
    chance = Chance(seed)
    with Family(folder, seed) as family:
        load = Load(family, chance.fork("load"), predictions, rate)
        courses = chance.fork("disturbances")
        while load.running:
            time.sleep(courses.between(*pace))
            disturb(family, courses)
        load.wait()
        family.calm()
        calm = time.monotonic()
        problem = ""
        try:
            family.settle(SETTLED_WITHIN)
        except AssertionError as unsettled:
            problem = str(unsettled)
        recovery = time.monotonic() - calm
        family.collect()
    account = Account.load(read(folder / "history.jsonl"))
    summary = _summed(account, seed)
    summary.recovery, summary.seconds = round(recovery, 1), round(time.monotonic() - began, 1)
    broken = check(account)
    if broken or problem:
        problem = f"{problem}\n{report(broken, account, seed=seed)}\nkept in {folder}"
    return summary, problem


def _summed(account: Account, seed: str) -> Summary:
    broken = check(account)
    return Summary(
        seed,
        predictions=len(account.predictions),
        kills=len(account.by_what["kill"]),
        faults=sum(line["begins"] for line in account.by_what["fault"]),
        lost=sum(violation.invariant == "I1 lost" for violation in broken),
        violations=len(broken),
        deliveries=sum(line["status"] == 200 for line in account.by_what["hook"]),
        duplicated=duplicates(account),
    )


def run(folder: Path, seed: int, predictions: int, rate: float = RATE) -> list[str]:
    """Returns the reports of the broken episodes; the table goes to stdout and to `summary.txt`."""
    rows, reports = [], []
    for number in range(-(-predictions // EPISODE)):
        name = f"{seed}.{number}"
        size = min(EPISODE, predictions - number * EPISODE)
        summary, problem = episode(folder / name, name, size, rate)
        rows.append(summary)
        sys.stdout.write(table([summary]) if number == 0 else row(summary))
        sys.stdout.flush()
        if problem:
            reports.append(problem)
            sys.stdout.write(problem + "\n")
        else:
            shutil.rmtree(folder / name)
    rows.append(_total(rows))
    (folder / "summary.txt").write_text(table(rows))
    sys.stdout.write(row(rows[-1]))
    return reports


def _total(rows: Sequence[Summary]) -> Summary:
    total = Summary("total")
    for field in fields(Summary)[1:]:
        values = [getattr(one, field.name) for one in rows]
        setattr(total, field.name, max(values) if field.name == "recovery" else round(sum(values), 1))
    return total


def table(rows: Sequence[Summary]) -> str:
    head = "".join(f"{field.name:>12}" for field in fields(Summary)) + "\n"
    return head + "".join(map(row, rows))


def row(summary: Summary) -> str:
    return "".join(f"{value:>12}" for value in astuple(summary)) + "\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.long", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--predictions", type=int, default=40_000)
    parser.add_argument("--rate", type=float, default=RATE, help="predictions per second")
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args(arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="catchlight-faults-"))
    return 1 if run(folder, options.seed, options.predictions, options.rate) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
