"""A process with all of ours loaded, which forks another for each that a test starts.

To load is nearly all of a short process' work, a second of it, and the suite starts a thousand. What is
forked is a process like any other: it has the environment, folder, streams and group that were asked for,
takes signals, and ends as Python ends. Only its command line is the forge's, and its parent the forge.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import pkgutil
import random
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import service
import workers

REQUEST_MOST = 128 * 1024
"""Bytes of a request: JSON with `module`, `arguments`, `environment`, `folder`, `group` and `network`."""
DESCRIPTORS = 4
"""That come with it: stdin, stdout, stderr, and a pipe that is told the process' id and later its status."""
_PR_SET_PDEATHSIG = 1
_CLONE_NEWNET = 0x4000_0000


@dataclass(frozen=True, slots=True)
class Order:
    """What a fork is to become."""

    wanted: dict[str, Any]
    streams: list[int]


def load() -> None:
    """Everything that a command or a role may want; frozen, so that a collection copies no page of it."""
    for package in (service, workers):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                # One that needs an extra is loaded by whoever has it.
                with suppress(ImportError):
                    import_module(found.name)
    gc.collect()
    gc.freeze()


def serve(control: socket.socket) -> Order | None:
    """Fork until the tests are over, which is None; in a fork, what it is to become."""
    ended, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    told: dict[int, int] = {}
    """By process id, where its end is to be told."""
    while True:
        ready, _, _ = select.select([control.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _reap(told)
        if control.fileno() not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(control, REQUEST_MOST, DESCRIPTORS)
        if not message:
            return None
        wanted = json.loads(message)
        *streams, teller = descriptors
        child = os.fork()
        if not child:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            for descriptor in (ended, waker, teller, *told.values()):
                os.close(descriptor)
            return Order(wanted, streams)
        if wanted["group"]:
            # Here as well as in the fork: whoever learns its id may signal the group at once.
            with suppress(ProcessLookupError, PermissionError):
                os.setpgid(child, child)
        for descriptor in streams:
            os.close(descriptor)
        told[child] = teller
        _tell(teller, child)


def _reap(told: dict[int, int]) -> None:
    while told:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        teller = told.pop(child)
        _tell(teller, status)
        os.close(teller)


def _tell(teller: int, number: int) -> None:
    # Whoever started it may be gone.
    with suppress(BrokenPipeError):
        os.write(teller, b"%d\n" % number)


def become(order: Order) -> None:
    """Run the module as `python -m` does; the end of this function is that of the process."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    wanted = order.wanted
    if wanted["group"]:
        os.setpgid(0, 0)
    for number, descriptor in enumerate(order.streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if wanted["network"]:
        _enter(wanted["network"])
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    # Else each would draw what the others draw.
    random.seed()
    sys.argv = [wanted["module"], *wanted["arguments"]]
    runpy.run_module(wanted["module"], run_name="__main__", alter_sys=True)


def _enter(namespace: str) -> None:
    """As `nsenter --net=` does."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(namespace, os.O_RDONLY)
    if libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns", namespace)
    os.close(descriptor)


if __name__ == "__main__":
    load()
    if forked := serve(socket.socket(fileno=int(sys.argv[1]))):
        become(forked)
