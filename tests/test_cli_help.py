"""The tree of commands: quick to show, complete, each explained, and helpful about slips of the pen."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from service.cli.commands import root
from service.cli.table import GROUPS, ROWS
from tests.commandline import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

    from service.cli.table import Row

HEAVY = ("pydantic", "redis", "httpx", "aiohttp", "rq", "rich", "service.settings")


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, None)


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    look = (
        "import sys; from service.cli import main\n"
        "sys.argv = ['catchlight', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


def test_help_names_every_command_with_an_example(cli: CommandLine) -> None:
    shown = cli.run("-h").out
    for row in ROWS:
        assert f"catchlight {row.example}" in shown
        assert row.path.split()[0] in shown.split()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_every_command_explains_itself(row: Row, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        root().main([*row.path.split(), "--help"], prog_name="catchlight")
    shown = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert f"Usage: catchlight {row.path}" in shown
    assert f"Example: catchlight {row.example}" in shown


def test_every_example_begins_with_its_command() -> None:
    assert [row.path for row in ROWS if not row.example.startswith(row.path)] == []


def test_every_group_has_commands() -> None:
    assert {row.path.split()[0] for row in ROWS if " " in row.path} == set(GROUPS)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["shwo"], "Did you mean 'show'?"),
        (["hooks", "enabel"], "Did you mean 'enable'?"),
        (["show"], "Missing argument 'ID'"),
        (["ls", "--limit", "0"], "--limit"),
        (["replay", "x", "--from", "middle"], "--from"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_is_wrong(
    arguments: list[str], hint: str, cli: CommandLine
) -> None:
    ran = cli.run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert hint in ran.err


def test_a_bare_command_shows_the_help(cli: CommandLine) -> None:
    ran = cli.run()
    assert "Commands:" in ran.out + ran.err


def test_the_version_is_told(cli: CommandLine) -> None:
    assert cli.run("--version").out.startswith("catchlight 0.")
