"""`uv run --group bench python -m tests.bench BENCH [--quick] [--rounds N]`, BENCH being one of BENCHES."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from tests.bench import machine

BENCHES = (
    "ingest",
    "work",
    "end_to_end",
    "growth",
    "fetch",
    "store",
    "startup",
    "dashboard",
    "told",
    "cost",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("bench", choices=BENCHES)
    parser.add_argument("--quick", action="store_true", help="smaller and less exact")
    parser.add_argument("--rounds", type=int, help="interleaved rounds; 5, with --quick 2")
    parser.add_argument("--json", type=Path, help="where the JSON goes; default: <bench>.json here")
    asked = parser.parse_args()
    rounds = asked.rounds or (2 if asked.quick else 5)
    cores = machine.two_cores()
    bench = importlib.import_module(f"tests.bench.{asked.bench}")
    began = time.monotonic()
    reports = bench.run(quick=asked.quick, rounds=rounds)
    for report in reports:
        report.show()
    sys.stdout.write(f"{machine.described()}; two cores at once do {cores:.2f} x what one does\n")
    where = asked.json or Path(f"{asked.bench}.json")
    found = {
        "machine": machine.described(),
        "commit": machine.commit(),
        "two cores at once": cores,
        "seconds": round(time.monotonic() - began),
        "reports": [report.as_json() for report in reports],
    }
    where.write_text(json.dumps(found, indent=2) + "\n")
    sys.stderr.write(f"JSON: {where}\n")


if __name__ == "__main__":
    main()
