"""Runs the blocks of deploy/README.md that are marked for it, on three machines, and says what it saw."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.house import ROOT
from tests.walkthrough.machines import NETWORK, PROJECT, Machine, cable, here

RUNBOOK = ROOT / "deploy" / "README.md"
NAMES = ("first", "second", "third")
_INSIDE = "CATCHLIGHT_WALKTHROUGH"
_MARKED = re.compile(r"<!-- walkthrough: ([^\n]*?) -->\n```sh\n(.*?)```", re.DOTALL)
_PATIENCE = 600


@dataclass(frozen=True)
class Block:
    marks: frozenset[str]
    """Names of machines, `all`; `outside`: it installs packages; `update`: callbacks come all the while."""
    script: str


def blocks(text: str) -> list[Block]:
    """Those of "Install" first, which the walk-through begins with and which stand behind it."""
    cut = text.index("\n## Install\n")
    found = [_MARKED.findall(part) for part in (text[cut:], text[:cut])]
    return [Block(frozenset(re.split(r"[ ,]+", marks)), script) for part in found for marks, script in part]


def run(machine: Machine, block: Block) -> str:
    command = machine.command(
        "bash", "-euo", "pipefail", "-c", block.script, outside="outside" in block.marks
    )
    began = time.monotonic()
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_PATIENCE, check=False
    )
    say(
        f"\n== {machine.name}, {time.monotonic() - began:.1f} s\n{block.script}-- said\n{done.stdout[-3000:]}"
    )
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode} on {machine.name}")
    return done.stdout


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def on_all(machines: dict[str, Machine], block: Block, names: tuple[str, ...] = NAMES) -> None:
    asked = [machines[name] for name in names if {name, "all"} & block.marks]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda machine: run(machine, block), asked))


def update(machines: dict[str, Machine], install: Block, block: Block) -> dict[str, int]:
    """A newer version in the folder of the project, installed and started under a stream of callbacks."""
    for name in ("first", "second"):
        file = machines[name].root / PROJECT.relative_to("/") / "pyproject.toml"
        file.write_text(re.sub(r'(?m)^version = "(.*)"$', r'version = "\1.post1"', file.read_text()))
    on_all(machines, install, ("first", "second"))
    secret = (machines["first"].root / "etc/catchlight/secrets/webhook_secrets").read_text().strip()
    url = f"http://{machines['first'].address}/webhooks/wavespeed"
    python = "/opt/catchlight/bin/python"
    sender = machines["third"].command(python, "-m", "tests.walkthrough.sender", url, secret)
    with subprocess.Popen(sender, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            run(machines["first"], block)
        finally:
            out, _ = process.communicate(timeout=60)
    answers: dict[str, int] = json.loads(out)
    return answers


def walk(folder: Path) -> None:
    machines = {
        name: Machine(name, f"{NETWORK}.{number}", folder / name) for number, name in enumerate(NAMES, 1)
    }
    switch = f"walkthrough-{os.getpid()}"
    files = here("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    cable(machines.values(), switch)
    try:
        for machine in machines.values():
            machine.boot(name for name in files if (ROOT / name).exists())
        machines["first"].reaches(machines["second"])
        asked = blocks(RUNBOOK.read_text())
        for block in asked:
            if "update" in block.marks:
                answers = update(machines, asked[0], block)
                say(f"callbacks during the update: {answers}")
                if set(answers) != {"200"}:
                    raise SystemExit("some callbacks failed during the update")
            else:
                on_all(machines, block)
    finally:
        for machine in machines.values():
            machine.end()
        here("ip", "netns", "del", switch)
    say("walked through: two hosts, an alert raised and ended, an update without a failed callback")


def main() -> None:
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "nsenter", "nginx", "prometheus"))):
        raise SystemExit("it needs root, and of Debian iproute2, redis-server, nginx-light and prometheus")
    if _INSIDE not in os.environ:
        # Mounts of its own, which are gone with its last process.
        private = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            sys.executable,
            "-m",
            "tests.walkthrough",
        ]
        os.execvpe("unshare", private, os.environ | {_INSIDE: "1"})  # noqa: S606 - its words are ours
    with tempfile.TemporaryDirectory(prefix="walkthrough-") as folder:
        here("mount", "-t", "tmpfs", "tmpfs", folder)
        try:
            walk(Path(folder))
        finally:
            here("umount", "--recursive", "--lazy", folder)


if __name__ == "__main__":
    main()
