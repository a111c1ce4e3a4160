"""Judges a run by its history alone, after the run.

`python -m tests.faults.checker HISTORY` prints every violation with the whole history of its prediction;
the exit code is 1 when there are any.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from service import clock
from tests.faults.account import Account
from tests.faults.history import read
from tests.faults.invariants import INVARIANTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.faults.account import Violation

SHOWN = 40


def check(account: Account) -> list[Violation]:
    return [violation for invariant in INVARIANTS for violation in invariant(account)]


def report(violations: Sequence[Violation], account: Account, *, seed: object = None) -> str:
    """All violations, and the whole history of the first broken prediction."""
    lines = [f"seed {seed}: {len(violations)} violations"]
    lines += [f"  {v.invariant}  {v.prediction or '-'}  {v.said}" for v in violations[:SHOWN]]
    first = next((v.prediction for v in violations if v.prediction), None)
    if first:
        lines += ["", f"history of {first}:", *history_of(account, first)]
    return "\n".join(lines)


def history_of(account: Account, id_: str) -> Iterator[str]:
    for line in sorted(account.of[id_], key=lambda line: line["at"]):
        shown = {name: value for name, value in line.items() if name not in ("at", "found")}
        yield f"  {clock.rfc3339(line['at'])}  {json.dumps(shown, ensure_ascii=False)}"
    found = account.found(id_)
    for step in found.get("timeline", []):
        yield f"    ledger  {step['at']}  {step['step']} {step['detail'] or ''}"
    yield f"  ledger  {json.dumps({n: v for n, v in found.items() if n != 'timeline'}, ensure_ascii=False)}"


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.faults.checker HISTORY\n")
        return 2
    account = Account.load(read(Path(arguments[0])))
    violations = check(account)
    for violation in violations:
        sys.stdout.write(f"{violation.invariant}  {violation.prediction or '-'}  {violation.said}\n")
        if violation.prediction:
            sys.stdout.write("\n".join(history_of(account, violation.prediction)) + "\n")
    sys.stdout.write(f"{len(account.predictions)} predictions, {len(violations)} violations\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
