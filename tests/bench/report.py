"""What a bench found: per contestant and figure the median with its spread, and ratios of one run."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

Figures = dict[str, float]
"""One round of one contestant: figure → value."""


@dataclass
class Report:
    """`figures` in the order of their columns; ratios are of the median of `of` in each round."""

    title: str
    figures: Sequence[str]
    ratio_of: str
    """The figure whose ratio to the first contestant's is shown; none when it is empty."""
    rounds: dict[str, list[Figures]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)

    def median(self, name: str, figure: str) -> float:
        return median(one[figure] for one in self.rounds[name])

    def ratio(self, name: str, other: str, figure: str) -> tuple[float, float, float]:
        """Median, least and most over the rounds of `name` / `other`; rounds are paired as they were run."""
        pairs = zip(self.rounds[name], self.rounds[other], strict=False)
        ratios = sorted(one[figure] / two[figure] for one, two in pairs if two[figure])
        return median(ratios), ratios[0], ratios[-1]

    def show(self) -> None:
        first = next(iter(self.rounds))
        table = Table(title=self.title, title_justify="left")
        table.add_column("", no_wrap=True)
        for figure in self.figures:
            table.add_column(figure, justify="right")
        if self.ratio_of:
            table.add_column(f"{first} is times ({self.ratio_of})", justify="right")
        for name, rounds in self.rounds.items():
            row = [_spread([one[figure] for one in rounds if figure in one]) for figure in self.figures]
            if self.ratio_of:
                row.append("" if name == first else _times(self.ratio(first, name, self.ratio_of)))
            table.add_row(name, *row)
        self._print(table)

    def _print(self, table: Table) -> None:
        console = Console(width=180 if not sys.stdout.isatty() else None)
        console.print(table)
        for line in self.notes:
            console.print(line, highlight=False)

    def as_json(self) -> dict[str, Any]:
        first = next(iter(self.rounds))
        return {
            "bench": self.title,
            "rounds": dict(self.rounds),
            "ratios": {
                name: dict(zip(("median", "min", "max"), self.ratio(first, name, self.ratio_of), strict=True))
                for name in self.rounds
                if name != first and self.ratio_of
            },
            "notes": self.notes,
        }

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n")


class Sheet(Report):
    """With so many figures that each has a row."""

    def show(self) -> None:
        table = Table(title=self.title, title_justify="left")
        table.add_column("", no_wrap=True)
        for name in self.rounds:
            table.add_column(name, justify="right")
        for figure in self.figures:
            found = ([one[figure] for one in rounds if figure in one] for rounds in self.rounds.values())
            table.add_row(figure, *map(_spread, found))
        if self.ratio_of:
            first, *others = self.rounds
            ratios = (_times(self.ratio(name, first, self.ratio_of)) for name in others)
            table.add_row(f"times {first} ({self.ratio_of})", "", *ratios)
        self._print(table)


def interleaved(report: Report, contestants: Mapping[str, Callable[[int], Figures]], rounds: int) -> None:
    """Every contestant once per round, one after the other: what drifts, drifts for all of them."""
    for number in range(rounds):
        for name, run in contestants.items():
            sys.stderr.write(f"round {number + 1} of {rounds}: {name}\n")
            report.rounds[name].append(run(number))


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    if len(values) == 1:
        return _short(values[0])
    return f"{_short(median(values))} ({_short(min(values))} to {_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _times(ratio: tuple[float, float, float]) -> str:
    middle, least, most = ratio
    return f"{middle:.2f} ({least:.2f} to {most:.2f})"
