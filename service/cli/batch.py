"""`catchlight submit --from FILE`: many predictions, each started once, whatever stops us in between.

A line's key is written down as an intent before its POST, so a second run with the same file starts only what
the first did not. While the provider is busy or away all wait; what money or a key would mend ends the batch.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from service.cli import batch_file, screen
from service.cli.exits import FAILED, PARTLY, USAGE
from service.cli.operating import operating
from service.durations import jittered
from service.errors import (
    CatchlightError,
    Conflict,
    InvalidInput,
    LedgerDown,
    ProviderDown,
    ProviderRefused,
    SubmitUnknown,
)
from service.settings import load
from service.wavespeed import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.cli.batch_file import Entry, Given
    from service.ledger import Ledger
    from service.operator import Operator

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
PATIENCE = 900.0
"""Seconds in which the provider takes nothing before the rest of a batch is left for another run."""
_ENDING = frozenset({Refusal.INSUFFICIENT_BALANCE, Refusal.KEY_REFUSED})


class Outcome(StrEnum):
    """What became of one line."""

    SUBMITTED = "submitted"
    ALREADY = "already"
    """By an earlier run: its id is known."""
    REFUSED = "refused"
    """The same line would be refused again."""
    UNKNOWN = "unknown"
    """It may have started and is not repeated; reconciling ties it to its key when it is found."""
    LEFT = "left"
    """Not started: give the file again."""


_GOOD = (Outcome.SUBMITTED, Outcome.ALREADY)


class Pause:
    """How long nobody asks a provider that is busy or away. `now` is of a clock that never goes back."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._wait = FIRST_WAIT
        self._since: float | None = None
        self.until = 0.0

    def longer(self, now: float, asked: float | None, fraction: float) -> bool:
        """Somebody was turned away, and `asked` to wait so many seconds. False at the end of patience."""
        if self._since is None:
            self._since = now
        if now >= self.until:
            # Those who asked at the same time say no more than the first of them.
            self.until = now + max(asked or 0.0, jittered(self._wait, fraction))
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        return now - self._since < self._patience

    def over(self) -> None:
        """Somebody got through."""
        self._since, self._wait = None, FIRST_WAIT


class Batch:
    def __init__(self, ledger: Ledger, operator: Operator, tell: Callable[[dict[str, object]], None]) -> None:
        self._ledger = ledger
        self._operator = operator
        self._tell = tell
        self._pause = Pause(PATIENCE)
        self._ended = asyncio.Event()
        self.why = ""
        """What ended it before its time."""
        self.tally: Counter[Outcome] = Counter()

    def end(self, why: str) -> None:
        """Start nothing more; what is under way is still written down."""
        self.why = self.why or why
        self._ended.set()

    async def run(self, entries: Iterator[Entry], at_once: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._take(entries))

    async def _take(self, entries: Iterator[Entry]) -> None:
        for entry in entries:
            self._told(entry, **await self._one(entry))

    async def _one(self, entry: Entry) -> dict[str, object]:
        while await self._may_ask():
            try:
                earlier = await self._ledger.intents.find(entry.key)
                if earlier and earlier.id and earlier.digest == entry.submission.digest():
                    return {"outcome": Outcome.ALREADY, "id": earlier.id}
                ref = await self._operator.submit(entry.submission, entry.key)
            except CatchlightError as error:
                if said := self._judged(error):
                    return said
            else:
                self._pause.over()
                return {"outcome": Outcome.SUBMITTED, "id": ref.id}
        return {"outcome": Outcome.LEFT, "error": self.why}

    def _judged(self, error: CatchlightError) -> dict[str, object] | None:
        """What the line comes to; None to try it again, or to leave it when that ends the batch."""
        match error:
            case ProviderDown() | ProviderRefused(word=Refusal.CONCURRENCY_LIMIT):
                now = asyncio.get_running_loop().time()
                if not self._pause.longer(now, error.retry_after, random.random()):
                    self.end(f"{error}, for {PATIENCE:g} s")
            case LedgerDown() | InvalidInput():
                # Of the second all that remains is a source without a key: the lines themselves are sound.
                self.end(str(error))
            case ProviderRefused() if error.word in _ENDING:
                self.end(str(error))
            case SubmitUnknown():
                return {"outcome": Outcome.UNKNOWN, "error": str(error)}
            case ProviderRefused():
                return {"outcome": Outcome.REFUSED, "reason": error.word, "error": str(error)}
            case Conflict():
                return {"outcome": Outcome.REFUSED, "reason": "conflict", "error": str(error)}
            case _:
                raise error
        return None

    async def _may_ask(self) -> bool:
        while not self._ended.is_set():
            wait = self._pause.until - asyncio.get_running_loop().time()
            if wait <= 0:
                return True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), wait)
        return False

    def _told(self, entry: Entry, **said: object) -> None:
        self.tally[Outcome(str(said["outcome"]))] += 1
        self._tell({"line": entry.line, "key": entry.key, **said})


def submit_all(path: Path, given: Given, at_once: int, *, yes: bool, dry_run: bool) -> None:
    """Raises InvalidInput before anything starts. Exit code 5: some started; 1: none of them."""
    settings = load()
    models: Counter[str] = Counter()
    with ExitStack() as opened:
        for entry in _entries(path, given, opened):
            settings.account_at_home(entry.submission.source)
            models[entry.submission.model] += 1
    total = models.total()
    screen.say(f"{total} to submit: " + ", ".join(f"{count} of {name}" for name, count in models.items()))
    if dry_run or not total:
        return
    if not yes:
        screen.say("error: each is billed; add --yes to submit them")
        raise typer.Exit(USAGE)
    tally, why = asyncio.run(_submit_all(path, given, at_once, total))
    screen.say(", ".join(f"{tally[outcome]} {outcome}" for outcome in Outcome if tally[outcome]))
    if tally[Outcome.LEFT]:
        screen.say(f"ended before its time: {why}; the same command goes on where it was")
    good = sum(tally[outcome] for outcome in _GOOD)
    if good < total:
        raise typer.Exit(PARTLY if good else FAILED)


async def _submit_all(path: Path, given: Given, at_once: int, total: int) -> tuple[Counter[Outcome], str]:
    with ExitStack() as opened:
        entries = _entries(path, given, opened)
        advance = opened.enter_context(_progress(total))

        def tell(said: dict[str, object]) -> None:
            screen.record(said)
            advance()

        async with operating() as (desk, operator):
            running = Batch(desk.ledger, operator, tell)
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, running.end, "stopped by a signal")
            await running.run(entries, at_once)
    return running.tally, running.why


def _entries(path: Path, given: Given, opened: ExitStack) -> Iterator[Entry]:
    try:
        lines = opened.enter_context(path.open(encoding="utf-8"))
        yield from batch_file.read(lines, given)
    except OSError as error:
        raise InvalidInput("--from", f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput("--from", f"{path} is not UTF-8") from error


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, as talk; nothing elsewhere. Call what it gives for every line."""
    from rich.console import Console  # noqa: PLC0415 - too slow for a command without a bar
    from rich.progress import Progress  # noqa: PLC0415 - the same

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("submitted", total=total)
        yield lambda: progress.advance(task)
