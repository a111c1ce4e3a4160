"""One verdict: what bounds an installation, and whether more of it would do more."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

ELSEWHERE = "start another on another machine, or take other work off this one"
"""A step, where a core is what lacks."""


class Bound(StrEnum):
    NOTHING = "nothing"
    NO_WORKER = "no_worker"
    REDIS_MEMORY = "redis_memory"
    REDIS_CPU = "redis_cpu"
    FSYNC = "fsync"
    STORAGE = "storage"
    RECEIVER_CPU = "receiver_cpu"
    WORKER_CPU = "worker_cpu"
    CONCURRENCY = "concurrency"
    FETCH_IN_FLIGHT = "fetch_in_flight"
    FETCH_PER_HOST = "fetch_per_host"
    ORIGIN = "origin"
    HOOK = "hook"
    HOOK_RATE = "hook_rate"
    POLL_RATE = "poll_rate"


class Verdict(NamedTuple):
    bound: Bound
    why: str
    """A sentence with the figures that it rests on."""
    step: str
    """What to do about it: a command or a setting, and what to expect of it."""
    process: bool = False
    """Another process of that role on a machine that runs one already would help."""
    machine: bool = False
    """One on another machine would."""

    @property
    def helps(self) -> str:
        """The answer for people."""
        if self.process:
            return "another process would help, here or on another machine"
        if self.machine:
            return "another process would help on another machine only"
        return "neither another process nor another machine would help"
