"""Named places where a test can make this process die, fail or stall: around every durable step.

Armed by CATCHLIGHT_FAILPOINTS only, as `name=kill`, `name=raise` or `name=stall:10s`, with `@n` for the n-th
time it is reached (else the first), and commas between several. Unarmed, reaching one looks at an empty dict.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from enum import StrEnum

import structlog

from service.durations import parse_duration
from service.errors import ConfigError

log = structlog.get_logger("failpoint")


class Act(StrEnum):
    KILL = "kill"
    RAISE = "raise"
    STALL = "stall"


class FailpointError(RuntimeError):
    """The exception of `raise`: a stranger to all our code, as a real bug would be."""


NAMES = (
    "accept.before_write",
    "accept.after_write",
    "receiver.before_answer",
    "submit.before_intent",
    "submit.after_post",
    "submit.after_write",
    "take.before_start",
    "lease.before",
    "lease.taken",
    "fetch.before",
    "fetch.head",
    "fetch.middle",
    "store.before_rename",
    "store.after_rename",
    "manifest.before",
    "manifest.after",
    "commit.before",
    "commit.after",
    "commit.after",
    "outbox.after",
    "deliver.taken",
    "deliver.before_send",
    "deliver.after_2xx",
    "deliver.after_write",
    "finish.before",
    "sweep.before",
    "sweep.after",
    "poll.before",
    "poll.after_answer",
    "reconcile.page",
)


@dataclass(slots=True)
class _Armed:
    act: Act
    seconds: float
    left: int
    """How often it may still be reached before it acts; it acts once."""


_armed: dict[str, _Armed] = {}


def _parse(text: str) -> dict[str, _Armed]:
    armed = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, how = part.partition("=")
        if name not in NAMES:
            raise ConfigError(f"CATCHLIGHT_FAILPOINTS: `{part}`: there is no failpoint {name}")
        how, _, nth = how.partition("@")
        act, _, seconds = how.partition(":")
        if act not in list(Act) or (nth and not nth.isdigit()):
            raise ConfigError(
                f"CATCHLIGHT_FAILPOINTS: `{part}`: must be {name}=kill, =raise or =stall:10s, "
                "with @n for the n-th time"
            )
        try:
            armed[name] = _Armed(Act(act), parse_duration(seconds or "10s"), int(nth or 1))
        except ValueError as error:
            raise ConfigError(f"CATCHLIGHT_FAILPOINTS: `{part}`: {error}") from error
    return armed


def arm(text: str | None) -> None:
    """Arm exactly these, once per process, at its start. Raises ConfigError that names the wrong part."""
    _armed.clear()
    _armed.update(_parse(text or ""))


async def reach(name: str) -> None:
    """On the loop."""
    if _armed and (armed := _due(name)):
        if armed.act is Act.STALL:
            await asyncio.sleep(armed.seconds)
        else:
            _end(name, armed.act)


def reach_in_thread(name: str) -> None:
    """Where there is no loop: in a thread that writes files."""
    if _armed and (armed := _due(name)):
        if armed.act is Act.STALL:
            time.sleep(armed.seconds)
        else:
            _end(name, armed.act)


def _due(name: str) -> _Armed | None:
    armed = _armed.get(name)
    if armed is None:
        return None
    armed.left -= 1
    if armed.left:
        return None
    log.warning("failpoint", name=name, act=armed.act)
    return armed


def _end(name: str, act: Act) -> None:
    if act is Act.KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    raise FailpointError(name)
