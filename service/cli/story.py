"""What the demo says on a terminal: where things are, how it goes, how it ended, and what to try next."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.cli.tally import Tally

_TALK = Console(stderr=True, highlight=False)

_STAGES = ("awaited", "accepted", "working", "done", "failed", "expired", "dead")
_MEANINGS = {
    "awaited": "submitted, no completion seen yet",
    "accepted": "completion written down, waiting for a worker",
    "working": "being judged, fetched and stored",
    "done": "every output has its place",
    "failed": "the provider said so",
    "expired": "outputs gone before we could fetch them",
    "dead": "we gave up, with a reason",
}


@contextmanager
def progress(events: int, *, show: bool) -> Iterator[Callable[[dict[str, int], dict[str, int]], None]]:
    """A function of (counts per stage, running totals) that redraws; silent when `show` is off."""
    if not show:
        yield lambda _counts, _tally: None
        return
    with Live(console=_TALK, refresh_per_second=8, transient=not _TALK.is_terminal) as live:
        yield lambda counts, tally: live.update(_table(counts, tally, events))


def _table(counts: dict[str, int], tally: dict[str, int], events: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    for heading, justify in (("stage", "left"), ("n", "right"), ("", "left")):
        table.add_column(heading, justify=justify, style="bold" if heading == "n" else None)  # type: ignore[arg-type]  # rich's literal
    for stage in _STAGES:
        table.add_row(stage, str(counts.get(stage, 0)), f"[dim]{_MEANINGS[stage]}[/dim]")
    callbacks, polls = tally.get("via_callback", 0), tally.get("via_poll", 0) + tally.get("via_reconcile", 0)
    table.add_row("", "", "")
    table.add_row(
        "known",
        f"{sum(counts.values())}/{events}",
        f"[dim]{callbacks} by callback, {polls} found by polling[/dim]",
    )
    table.add_row(
        "deliveries",
        str(tally.get("deliveries_delivered", 0)),
        f"[dim]{tally.get('delivery_attempts', 0)} attempts; the hook is down for a while[/dim]",
    )
    return table


def tell_starting() -> None:
    """Before there is anything to see: a slow machine takes a minute over it."""
    _TALK.print("[dim]starting receiver, worker, sweeper…[/dim]")


def tell_start(base: str, provider: str) -> None:
    _TALK.print("[bold]Catchlight[/bold] demo: a real receiver, worker and sweeper; a simulated provider.")
    _TALK.print(
        f"  dashboard: {base}/   callbacks go to {base}/webhooks/…   provider: {provider}", soft_wrap=True
    )
    _TALK.print("  Callbacks are lost, doubled, late and forged; files are slow, cut short and gone.\n")


def _tell_tally(tally: Tally) -> None:
    verdict = (
        "[bold green]nothing was lost[/bold green]"
        if tally.nothing_lost
        else "[bold red]something was lost[/bold red]"
    )
    _TALK.print(f"\n{tally.predictions} predictions in {tally.seconds:g} s: {verdict}.")
    _TALK.print(
        f"  outputs      {tally.stored} stored, {tally.held} held for review, {tally.skipped} no files\n"
        f"  predictions  {tally.failed} failed at the provider, {tally.expired} expired, {tally.dead} dead\n"
        f"  callbacks    {tally.duplicates} came twice, {tally.forged_refused} forged and refused, "
        f"{tally.recovered_by_poll} never came and were found by polling\n"
        f"  deliveries   {tally.deliveries} events told in {tally.delivery_attempts} attempts"
    )
    for problem in tally.problems[:10]:
        _TALK.print(f"  [red]{problem}[/red]")


def tell_open(tally: Tally, base: str, folder: Path) -> None:
    """All is done and everything still runs: try it."""
    _tell_tally(tally)
    _TALK.print("\nIt still runs. In another terminal:")
    # That one need not have this environment's commands on its path.
    for command in (f"cd {folder}", f"alias catchlight={Path(sys.argv[0]).resolve()}"):
        _TALK.print(f"  {command}", soft_wrap=True, markup=False)
    for command in (
        "catchlight ls nsfw:flagged",
        "catchlight explain ID",
        "catchlight status",
        "catchlight review ls",
        "catchlight review approve ID INDEX",
        f"curl -s '{base}/api/v1/predictions?query=stage:failed&limit=3'",
    ):
        _TALK.print(f"  {command}", soft_wrap=True, markup=False)
    _TALK.print("Ctrl-C ends it.")


def tell_end(tally: Tally | None, folder: Path) -> None:
    """`tally` None: it was told already, or Ctrl-C came before there was one."""
    if tally is not None:
        _tell_tally(tally)
    _TALK.print("\nLook at what it left:")
    _TALK.print(
        f"  files      {folder / 'outputs'}   (held ones under held/, a manifest.json beside each)",
        soft_wrap=True,
    )
    _TALK.print(
        f"  hook       {folder / 'hooks.jsonl'}   (every attempt that the sample hook saw)", soft_wrap=True
    )
    _TALK.print(f"  logs       {folder / 'roles.log'}", soft_wrap=True)
    _TALK.print(
        "Next: `catchlight up` with your own secret; the README shows a signed callback with curl.",
        soft_wrap=True,
    )
