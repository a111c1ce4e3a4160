"""Machines made of this one: a network namespace each, and a file system whose changes are thrown away."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

NETWORK = "10.77.0"
PROJECT = Path("/root/catchlight")
_PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = ("PIP_", "SSL_CERT_", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
"""Variables of ours that a machine needs to reach its package index as this one does."""


def here(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Machine:
    name: str
    address: str
    folder: Path
    """Of its overlay; a tmpfs."""

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def network(self) -> str:
        return f"walkthrough-{self.name}-{os.getpid()}"

    def command(self, *words: str, outside: bool = False) -> list[str]:
        """What runs them there as root; `outside`: in the network of this machine, to install packages."""
        kept = [f"{name}={value}" for name, value in os.environ.items() if name.startswith(_KEPT)]
        network = [] if outside else ["ip", "netns", "exec", self.network]
        clean = ["/usr/bin/env", "-i", f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8", *kept]
        begin = f'hostname {self.name}; cd {PROJECT}; exec "$@"'
        return [
            *network, "unshare", "--uts", "chroot", str(self.root), *clean, "sh", "-c", begin, "sh", *words,
        ]  # fmt: skip

    def boot(self, files: Iterable[str]) -> None:
        """`files` of the project stand where a clone would."""
        for part in ("root", "written", "scratch"):
            (self.folder / part).mkdir(parents=True)
        layers = f"lowerdir=/,upperdir={self.folder}/written,workdir={self.folder}/scratch"
        here("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        here("mount", "-t", "proc", "proc", self.root / "proc")
        here("mount", "--rbind", "/dev", self.root / "dev")
        here("mount", "-t", "tmpfs", "tmpfs", self.root / "run")
        project = self.root / PROJECT.relative_to("/")
        shutil.rmtree(project, ignore_errors=True)
        for name in files:
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project / name)
        self.put("systemctl", f'exec /usr/bin/python3 {PROJECT}/tests/walkthrough/systemctl.py "$@"')

    def put(self, name: str, script: str) -> None:
        """A command of that name, before all others."""
        file = self.root / "usr/local/bin" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def reaches(self, other: Machine) -> None:
        """By `ssh root@<its address> COMMAND`, as if it had a key."""
        there = ["nsenter", "-t", str(os.getpid()), "-m", "-r", "--", *other.command("sh", "-c")]
        self.put("ssh", f'[ "$1" = root@{other.address} ] || exit 255; shift; exec {shlex.join(there)} "$*"')

    def end(self) -> None:
        """Kill what runs in its network, and nothing else."""
        for pid in here("ip", "netns", "pids", self.network).split():
            subprocess.run(["kill", "-KILL", pid], capture_output=True, check=False)
        here("ip", "netns", "del", self.network)


def cable(machines: Iterable[Machine], switch: str) -> None:
    """All of them to one bridge, in a namespace of its own."""
    here("ip", "netns", "add", switch)
    here("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
    here("ip", "-n", switch, "link", "set", "bridge", "up")
    for machine in machines:
        here("ip", "netns", "add", machine.network)
        at = f"to-{machine.name}"
        inside = ("peer", "name", "eth0", "netns", machine.network)
        here("ip", "-n", switch, "link", "add", at, "type", "veth", *inside)
        here("ip", "-n", switch, "link", "set", at, "master", "bridge", "up")
        here("ip", "-n", machine.network, "addr", "add", f"{machine.address}/24", "dev", "eth0")
        for link in ("eth0", "lo"):
            here("ip", "-n", machine.network, "link", "set", link, "up")
