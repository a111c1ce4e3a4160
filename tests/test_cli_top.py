"""`top`: the same judgement as `status`, again and again on a terminal, and once where none is."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from service import keys
from service.cli.top_screen import bars
from service.ledger.roles import Said
from service.troubles import ROLES
from tests.commandline import CommandLine, accept, awaited, completed, in_ledger
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from service.ledger import Ledger

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> CommandLine:
    """Of which the settings give no warning."""
    made = CommandLine(tmp_path, redis_url)
    made.also = {"CATCHLIGHT_PUBLIC_URL": "https://hooks.example"}
    return made


def beat(redis_url: str) -> None:
    async def act(ledger: Ledger) -> None:
        for role in ROLES:
            # As it would be long after a slow start of a command.
            await ledger.roles.beat(role, "host-1", since=1.0, said=Said(3 if role == "work" else None))
            await ledger.redis.expire(f"{keys.ROLE}{role}:host-1", 600)
        await ledger.history.keep()

    in_ledger(redis_url, act)


class Terminal:
    """What a program shows on it, and keys for it."""

    def __init__(self, cli: CommandLine, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        environment = cli.environment() | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", *arguments],
            cwd=cli.folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._shown = b""

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def shows(self, text: str) -> bool:
        # At its end it is an error.
        with suppress(OSError):
            self._shown += os.read(self._ours, 1 << 20)
        return text in self._shown.decode("utf-8", "replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_where_no_terminal_is_it_is_one_plain_screen(cli: CommandLine, redis_url: str) -> None:
    beat(redis_url)
    accept(redis_url, completed("p1"))
    ran = cli.run("top")
    assert ran.code == 0
    assert ran.out.startswith("catchlight is healthy, ")
    assert "nothing is wrong" in ran.out
    assert "1 completions in 60 min, 0 of them without a callback" in ran.out
    assert "\x1b" not in ran.out


def test_what_is_wrong_stands_first_with_its_command_and_is_the_exit_code(
    cli: CommandLine, redis_url: str
) -> None:
    accept(redis_url, awaited("p1"))
    ran = cli.run("top", "--once")
    assert ran.code == 4
    lines = ran.out.splitlines()
    assert lines[0].startswith("catchlight is unhealthy")
    assert lines[2:4] == ["fail no receiver is alive while work waits", "     catchlight serve"]


def test_machines_get_a_line_for_each_look(cli: CommandLine, redis_url: str) -> None:
    beat(redis_url)
    accept(redis_url, completed("p1"))
    ran = cli.run("top", "--json", "--once")
    assert ran.code == 0
    (said,) = map(json.loads, ran.out.splitlines())
    assert said["healthy"]
    assert said["throughput"]["completions"] == 1
    assert len(said["throughput"]["by_slot"]) == 60
    assert {one["role"]: one["in_flight"] for one in said["roles"]} == {
        "serve": None,
        "sweep": None,
        "work": 3,
    }


def test_on_a_terminal_it_looks_again_until_q(cli: CommandLine, redis_url: str) -> None:
    beat(redis_url)
    terminal = Terminal(cli, "top", "--every", "0.2")
    try:
        wait_until(lambda: terminal.shows("nothing is wrong"), 60)
        accept(redis_url, completed("p1"))
        wait_until(lambda: terminal.shows("1 completions in"), 30)
        terminal.press(b"q")
        wait_until(lambda: not terminal.shows("\0") and terminal.process.poll() is not None, 30)
        assert terminal.process.returncode == 0
    finally:
        terminal.close()


def test_on_a_terminal_it_outlives_an_outage(tmp_path: Path) -> None:
    terminal = Terminal(CommandLine(tmp_path, NOBODY), "top", "--every", "0.2")
    try:
        wait_until(lambda: terminal.shows("Redis has not answered since this was started"), 60)
        terminal.process.send_signal(signal.SIGINT)
        wait_until(lambda: not terminal.shows("\0") and terminal.process.poll() is not None, 30)
        assert terminal.process.returncode == 0
    finally:
        terminal.close()


def test_without_redis_one_look_is_exit_4(cli: CommandLine) -> None:
    ran = cli.run("top", redis_url=NOBODY)
    assert ran.code == 4
    assert ran.err.startswith("error: Redis does not answer")


@pytest.mark.parametrize(
    ("amounts", "shown"),
    [((), ""), ((0, 0), "  "), ((0, 8, 4), " █▄"), ((1, 1000), "▁█"), ((0.01, 0.02), "▄█")],
)
def test_bars_are_as_high_as_their_share_of_the_highest(amounts: tuple[float, ...], shown: str) -> None:
    assert bars(amounts) == shown
