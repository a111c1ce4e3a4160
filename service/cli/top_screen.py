"""How `top` looks: troubles first, then bars of throughput, counts, hooks and processes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from service import clock
from service.cli.screen import STYLES, plain
from service.telling.spans import ago, span
from service.throughput import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

    from service.throughput import Slot, Throughput
    from service.troubles import Now

_BARS = " ▁▂▃▄▅▆▇█"
_COMPLETIONS = tuple(name for name in NAMES if name.startswith("via_"))
_COUNTS = ("waiting", "working", "awaited", "deliveries_due")
_SAYS = "catchlight"


def shown(now: Now) -> RenderableType:
    facts = now.facts
    parts: list[RenderableType] = [_heading(now), Text("")]
    for one in now.troubles:
        parts += [_line(one.state, one.detail), Text(f"     {plain(one.fix)}", "dim")]
    if not now.troubles:
        parts.append(Text("nothing is wrong", "green"))
    parts += [Text(""), *_throughput(now.throughput), Text("")]
    counts = [(name.replace("_", " "), facts.scaling[name]) for name in _COUNTS]
    counts += [(stage, facts.stages.get(stage, 0)) for stage in ("done", "failed", "expired", "dead")]
    parts.append(_table([name for name, _ in counts], [[n for _, n in counts]]))
    if facts.hooks:
        rows = [
            [one.name, one.state, one.told, ago(one.since, facts.now), one.parked or None]
            for one in facts.hooks
        ]
        parts += [Text(""), _table(("hook", "", "", "since", "waiting"), rows)]
    rows = [[one.role, one.instance, ago(one.since, facts.now), one.said.in_flight] for one in facts.roles]
    return Group(*parts, Text(""), _table(("role", "process", "since", "in flight"), rows))


def away(why: str, answered: float | None, now: float) -> RenderableType:
    since = "since this was started" if answered is None else f"for {span(now - answered)}"
    return Group(
        _line("fail", f"Redis has not answered {since}"),
        Text(f"     {plain(why)}"),
        Text("     catchlight doctor", "dim"),
        Text(""),
        Text("It looks again by itself. Callbacks are answered 503 meanwhile, and sent again."),
    )


def completions(slot: Slot) -> float:
    return slot.of(*_COMPLETIONS)


def bars(amounts: Sequence[float]) -> str:
    """One character each, as high as the highest is a whole one; what is not nothing is seen."""
    most = max(amounts, default=0) or 1
    steps = len(_BARS) - 1
    return "".join(_BARS[math.ceil(amount / most * steps)] for amount in amounts)


def _heading(now: Now) -> Text:
    word = "healthy" if now.healthy else "unhealthy"
    time = clock.rfc3339(now.facts.now)[11:19]
    return Text.assemble(f"{_SAYS} is ", (word, STYLES[word]), f", {time} UTC")


def _throughput(throughput: Throughput) -> Iterable[Text]:
    amounts = [completions(slot) for slot in throughput.slots]
    spanned = span(len(amounts) * throughput.slots[0].seconds)
    yield Text(bars(amounts), "cyan")
    came = f"{throughput.completions} completions in {spanned}"
    yield Text(f"{came}, {throughput.recovered} of them without a callback")


def _line(word: str, rest: str) -> Text:
    return Text.assemble((f"{word} ", STYLES.get(word, "")), plain(rest))


def _table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    grid = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        cells = ["-" if value is None else plain(value) for value in row]
        grid.add_row(*(Text(cell, STYLES.get(cell, "")) for cell in cells))
    return grid
