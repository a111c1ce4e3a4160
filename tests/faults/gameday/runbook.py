"""What the runbook says about an alert, as steps: its commands in order, and what is done outside of us."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.test_docs import RUNBOOK

_COMMAND = re.compile(r"`((?:catchlight|curl) [^`]+)`")


class UnclearError(AssertionError):
    """The runbook does not say what a person would need to read there."""


class Steps(NamedTuple):
    before: list[str]
    """Commands that stand before what is done outside; the first is the alert's own."""
    after: list[str]
    verification: list[str]


def steps(runbook_url: str, command: str, outside: str, text: str | None = None) -> Steps:
    """Of the section that an alert leads to. `command`: the alert's; `outside`: words of the section.

    Raises UnclearError when the section does not begin with that command, or does not have those words.
    """
    name = runbook_url.partition("#")[2]
    told = _section(name, RUNBOOK.read_text() if text is None else text)
    doing, verification = _line("Command", told), _line("Verification", told)
    if outside not in doing:
        raise UnclearError(f"#{name} does not say: {outside}")
    before, _, after = doing.partition(outside) if outside else (doing, "", "")
    commands = _COMMAND.findall(before)
    if not commands or commands[0] != command:
        raise UnclearError(f"the alert says `{command}`, and #{name} begins with {commands[:1]}")
    return Steps(commands, _COMMAND.findall(after), _COMMAND.findall(verification))


def _section(name: str, text: str) -> str:
    for heading, told in re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL):
        if heading.lower() == name:
            return str(told)
    raise UnclearError(f"no section #{name}")


def _line(part: str, told: str) -> str:
    found = re.search(rf"^- {part}: (.*)$", told, re.MULTILINE)
    if found is None:
        raise UnclearError(f"no line {part}")
    return found[1]


def filled(command: str, places: dict[str, str], last: str) -> str:
    """The command as a person would type it. NAME and FILE are of the drill, ID and RUN of the `last` output.

    Raises UnclearError for a place that nothing told of.
    """
    shown = {"ID": r"\b[0-9a-f]{32}\b", "RUN": r"\brun_\w+"}
    for place, pattern in shown.items():
        if re.search(rf"\b{place}\b", command):
            if (found := re.search(pattern, last)) is None:
                raise UnclearError(f"`{command}`: no {place} in what the command before it said:\n{last}")
            command = re.sub(rf"\b{place}\b", found[0], command)
    for place, value in places.items():
        command = re.sub(rf"\b{place}\b", value, command)
    return command
