"""Hosts that are network namespaces: each has one cable to where the tests are, and it can be pulled.

What is in such a host reaches us at `Network.here`, and nobody else; we reach it at its own address. Needs
root. All of it is gone with the processes that hold the namespaces, and those end with ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.waiting import wait_until

if TYPE_CHECKING:
    from types import TracebackType

_OURS = Path("/proc/self/ns/net")


@dataclass(frozen=True, slots=True)
class Host:
    number: int
    address: str
    cable: str
    """Its end at ours."""
    namespace: str

    @property
    def inside(self) -> list[str]:
        """In front of a command line: it then runs there."""
        return ["nsenter", f"--net={self.namespace}"]


def possible() -> bool:
    """May we make such a network here?"""
    if not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return False
    tried = ["unshare", "--net", "ip", "link", "add", "type", "veth"]
    # A namespace of a user of its own could be made by anybody, and no cable would lead out of it.
    return os.geteuid() == 0 and subprocess.run(tried, capture_output=True, check=False).returncode == 0


class Network:
    """`hosts` by their numbers from 1. A context manager."""

    def __init__(self, count: int) -> None:
        # Two suites on one machine do not meet.
        self._net = f"10.{64 + os.getpid() % 128}"
        self.here = f"{self._net}.0.1"
        self._count = count
        self._stack = ExitStack()
        self.hosts: dict[int, Host] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            _ip("addr", "add", f"{self.here}/32", "dev", "lo")
            stack.callback(_ip, "addr", "del", f"{self.here}/32", "dev", "lo")
            for number in range(1, self._count + 1):
                self.hosts[number] = self._cabled(number, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def pull(self, number: int) -> None:
        """From here on nothing comes through, and nobody is told: no reset, no refusal."""
        _ip("link", "set", self.hosts[number].cable, "down")

    def plug(self, number: int) -> None:
        _ip("link", "set", self.hosts[number].cable, "up")

    def _cabled(self, number: int, stack: ExitStack) -> Host:
        # It reads what nobody writes, and so ends when we do.
        holder = stack.enter_context(
            subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, process_group=0)
        )
        stack.callback(holder.kill)
        namespace = Path(f"/proc/{holder.pid}/ns/net")
        wait_until(lambda: namespace.readlink() != _OURS.readlink(), 5, "the namespace is there")
        cable, plug = f"cl{os.getpid() % 100_000}h{number}", f"cl{os.getpid() % 100_000}i{number}"
        host = Host(number, f"{self._net}.{number}.2", cable, str(namespace))
        gateway = f"{self._net}.{number}.1"
        _ip("link", "add", cable, "type", "veth", "peer", "name", plug)
        stack.callback(_ip, "link", "del", cable)
        _ip("link", "set", plug, "netns", str(holder.pid))
        _ip("addr", "add", f"{gateway}/24", "dev", cable)
        _ip("link", "set", cable, "up")
        for command in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{host.address}/24", "dev", plug),
            ("link", "set", plug, "up"),
            ("route", "add", "default", "via", gateway),
        ):
            subprocess.run([*host.inside, "ip", *command], check=True)
        return host


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
