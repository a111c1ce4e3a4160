"""The tables of `deploy/scaling.md`, as the model has them of what was measured.

`uv run --group bench python -m tests.bench.page [cost.json]`: with the JSON of `python -m tests.bench cost`
it puts those figures in the place of the last ones first; then it writes the tables anew.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.bench.model import IMAGE, LARGE, SINGLE, Measured, limits, sized

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.bench.model import Sized

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "deploy" / "scaling.md"
MEASURED = Path(__file__).parent / "measured.json"
RATES = ((1, 1.0), (100, 1.0), (10_000, 1.0), (1_000_000, 1.0), (10_000, 50.0))
"""Predictions a minute, and MB of each."""
SHAPES = {
    IMAGE: "1 MB, one hook",
    SINGLE: "the same, ten a second",
    "no hook": "no hook",
    "4 outputs": "four outputs",
    LARGE: "10 MB",
    "polled": "polled, no callback",
}
COSTS = {
    "receiver ms": ("receiver, CPU ms", 2),
    "worker ms": ("worker, CPU ms", 1),
    "sweeper ms": ("sweeper, CPU ms", 2),
    "redis ms": ("Redis, CPU ms", 2),
    "commands": ("Redis commands, those in scripts too", 0),
    "scripts": ("script calls", 1),
    "round trips": ("requests that Redis reads", 1),
    "redis in": ("bytes into Redis", 0),
    "redis out": ("bytes out of Redis", 0),
    "aof bytes": ("bytes of its log", 0),
    "fsyncs": ("fsyncs of its log", 2),
    "memory": ("its memory, as it ends", 0),
    "compact": ("its memory, compact", 0),
    "disk": ("bytes to storage", 0),
    "files": ("files, the manifest among them", 0),
    "network in": ("bytes from outside", 0),
    "network out": ("bytes to hooks", 0),
}
"""Figure → how the page calls it, and its decimals."""


def measured() -> tuple[Measured, dict[str, Any]]:
    """And what is known of how: at, commit, machine, load, rounds."""
    found = json.loads(MEASURED.read_text())
    return Measured(found["costs"], found["idle"]), found


def record(report: Mapping[str, Any]) -> None:
    """Medians and spreads of a bench's JSON, with when and where."""
    cost, idle = (one["rounds"] for one in report["reports"])
    of_idle = idle["idle"]
    found = {
        "at": datetime.now(UTC).date().isoformat(),
        "commit": report["commit"],
        "machine": report["machine"],
        "rounds": len(cost[IMAGE]),
        "notes": report["reports"][0]["notes"],
        "costs": {shape: _each(rounds, median) for shape, rounds in cost.items()},
        "least": {shape: _each(rounds, min) for shape, rounds in cost.items()},
        "most": {shape: _each(rounds, max) for shape, rounds in cost.items()},
        "idle": _each(of_idle, median),
    }
    MEASURED.write_text(json.dumps(found, indent=1) + "\n")


def _each(rounds: Sequence[Mapping[str, float]], of: Callable[[list[float]], float]) -> dict[str, float]:
    return {figure: round(of([one[figure] for one in rounds]), 4) for figure in rounds[0]}


def tables() -> dict[str, str]:
    model, found = measured()
    return {
        "how": _how(found),
        "costs": _costs(found),
        "limits": _limits(model),
        "roles": _roles(model),
        "sizes": _sizes([sized(model, rate, mb) for rate, mb in RATES]),
    }


def _how(found: Mapping[str, Any]) -> str:
    notes = "; ".join(found["notes"])
    when = f"Measured {found['at']} at commit {found['commit']}: {found['machine']}"
    return f"{when}, medians of {found['rounds']} rounds. {notes[0].upper()}{notes[1:]}.\n"


def _costs(found: Mapping[str, Any]) -> str:
    lines = ["| Of one prediction | " + " | ".join(SHAPES.values()) + " |", "|---|" + "---|" * len(SHAPES)]
    for figure, (name, decimals) in COSTS.items():
        cells = [_spread(found, shape, figure, decimals) for shape in SHAPES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _spread(found: Mapping[str, Any], shape: str, figure: str, decimals: int) -> str:
    middle = found["costs"][shape][figure]
    if not figure.endswith(" ms"):
        return f"{middle:,.{decimals}f}"
    least, most = found["least"][shape][figure], found["most"][shape][figure]
    # What is taken off for the idle time may be more than it was: then it cost nothing that can be seen.
    low, mid, high = (max(0.0, value) for value in (least, middle, most))
    return f"{mid:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"


def resident(model: Measured, role: str) -> float:
    """MB of one process at its busiest."""
    return max(cost[f"{role} MB"] for cost in model.costs.values())


def _roles(model: Measured) -> str:
    lines = ["| One process | Resident, MB | When idle, CPU ms a second |", "|---|---|---|"]
    lines += [
        f"| {role} | {resident(model, role):.0f} | {model.idle[f'{role} ms']:.0f} |"
        for role in ("receiver", "worker", "sweeper")
    ]
    return "\n".join(lines) + "\n"


def _limits(model: Measured) -> str:
    lines = ["| One of each | Predictions a minute, at most | How it shows |", "|---|---|---|"]
    lines += [f"| {one.what} | {_short(one.per_minute)} | {one.sign} |" for one in limits(model)]
    return "\n".join(lines) + "\n"


def _sizes(sizes: Sequence[Sized]) -> str:
    rows: list[tuple[str, Callable[[Sized], str]]] = [
        ("receivers", lambda one: f"{one.receivers:,}"),
        ("workers of 64 places", lambda one: f"{one.workers:,}"),
        ("Redis primaries, a sweeper each", lambda one: f"{one.redis:,}"),
        ("sources, at least", lambda one: f"{one.sources:,}"),
        ("cores used by receivers", lambda one: _short(one.cores["receiver"])),
        ("cores used by workers", lambda one: _short(one.cores["worker"])),
        ("cores used by sweepers", lambda one: _short(one.cores["sweeper"])),
        ("cores used by Redis", lambda one: _short(one.cores["redis"])),
        ("downloads in flight", lambda one: _short(one.in_flight)),
        ("Gbit/s in, and out again to an object store", lambda one: _short(one.network_gbit)),
        ("files or objects written a second", lambda one: _short(one.writes)),
        ("TB stored a day", lambda one: _short(one.stored_tb)),
        ("GB of Redis, 30 days kept", lambda one: _short(one.redis_gb)),
        ("GB of Redis, 7 days kept", lambda one: _short(one.redis_gb_least)),
        ("fsyncs a second, each Redis", lambda one: _short(one.fsyncs)),
        ("MB of log a second, all Redis", lambda one: _short(one.log_mb)),
        ("hook calls a second", lambda one: _short(one.hook_calls)),
        ("polls a second, 1 % of callbacks lost", lambda one: _short(one.polls)),
    ]
    heads = [f"{one.per_minute:,.0f}/min of {one.mb:.0f} MB" for one in sizes]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(sizes)]
    lines += [f"| {name} | " + " | ".join(show(one) for one in sizes) + " |" for name, show in rows]
    return "\n".join(lines) + "\n"


def _short(value: float) -> str:
    """Two digits: no model has more."""
    if value >= 100:
        digits = len(str(int(value))) - 2
        return f"{round(value, -digits):,.0f}"
    return f"{value:.2g}"


def written(text: str) -> str:
    """The page with its tables as they are now."""
    for name, table in tables().items():
        before, begin, rest = text.partition(f"<!-- {name}: written by tests/bench/page.py -->\n")
        text = before + begin + table + rest[rest.index(f"<!-- /{name} -->") :]
    return text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.page", description=__doc__)
    parser.add_argument("report", type=Path, nargs="?")
    if (asked := parser.parse_args().report) is not None:
        record(json.loads(asked.read_text()))
    PAGE.write_text(written(PAGE.read_text()))


if __name__ == "__main__":
    main()
