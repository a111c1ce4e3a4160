"""`catchlight top`: the dashboard's first page for a terminal."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from service import clock, troubles
from service.cli import screen, top_screen
from service.cli.context import ledger_of
from service.cli.exits import UNHEALTHY
from service.cli.status import public
from service.errors import LedgerDown
from service.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from service.ledger import Ledger
    from service.settings import Settings
    from service.troubles import Now

_LEAVE = "qQ\x1b"


def command(
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two looks.")] = 2.0,
    *,
    once: Annotated[bool, typer.Option("--once", help="One look, and leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object on one line for each look.")] = False,
) -> None:
    """What is wrong, worst first, each with the command that ends it; then throughput, hooks and processes.

    It looks again every few seconds; q or Ctrl-C ends it. Where no terminal is, it is one plain screen. With
    --once the exit code is that of `status`: 4 when it is unhealthy.
    """
    settings = load()
    if as_json:
        asyncio.run(_lines(settings, every, once=once))
    elif once or not sys.stdout.isatty():
        _leave(asyncio.run(_once(settings)))
    else:
        asyncio.run(_watch(settings, every))


def _leave(healthy: bool) -> None:  # the answer of a look
    if not healthy:
        raise typer.Exit(UNHEALTHY)


async def _once(settings: Settings) -> bool:
    async with ledger_of(settings) as ledger:
        now = await troubles.look(ledger, settings)
    _console(settings).print(top_screen.shown(now))
    return now.healthy


async def _lines(settings: Settings, every: float, *, once: bool) -> None:
    async with ledger_of(settings) as ledger:
        while True:
            now = await troubles.look(ledger, settings)
            screen.record(_public(now))
            if once:
                break
            await asyncio.sleep(every)
    _leave(now.healthy)


async def _watch(settings: Settings, every: float) -> None:
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, leaving.set)
    async with ledger_of(settings) as ledger:
        with _keys(leaving), Live(console=_console(settings), screen=True, auto_refresh=False) as live:
            answered: float | None = None
            while not leaving.is_set():
                shown, answered = await _look(ledger, settings, answered)
                live.update(shown, refresh=True)
                with suppress(TimeoutError):
                    await asyncio.wait_for(leaving.wait(), every)


async def _look(
    ledger: Ledger, settings: Settings, answered: float | None
) -> tuple[RenderableType, float | None]:
    """What to show, and when Redis has answered last."""
    try:
        now = await troubles.look(ledger, settings)
    except LedgerDown as error:
        return top_screen.away(str(error), answered, clock.now()), answered
    return top_screen.shown(now), clock.now()


@contextmanager
def _keys(leaving: asyncio.Event) -> Iterator[None]:
    """Keys as they are pressed, and not line by line, where the keyboard is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415 - of terminals only
    import tty  # noqa: PLC0415 - the same

    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def pressed() -> None:
        if any(key in _LEAVE for key in sys.stdin.read(1)):
            leaving.set()

    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, pressed)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _console(settings: Settings) -> Console:
    width = None if sys.stdout.isatty() else screen.WIDE
    return Console(
        no_color=settings.no_color or None, width=width, highlight=False, markup=False, emoji=False
    )


def _public(now: Now) -> dict[str, Any]:
    slots = now.throughput.slots
    return public(now.facts, now.troubles, healthy=now.healthy) | {
        "throughput": {
            "seconds": slots[-1].seconds,
            "since": clock.rfc3339(slots[0].at),
            "completions": now.throughput.completions,
            "recovered": now.throughput.recovered,
            "by_slot": [round(top_screen.completions(slot), 1) for slot in slots],
        },
        "hooks": [
            {"name": one.name, "state": one.state, "told": one.told, "parked": one.parked}
            for one in now.facts.hooks
        ],
    }
