"""Named places where a test can make this process die, fail, stall or spin: around every durable step.

Armed by CATCHLIGHT_FAILPOINTS only, as `name=kill`, `name=raise`, `name=stall:10s` or `name=spin`, with
commas between several. It acts once, the first time it is reached or the n-th with `@n`; with `~word` it acts
each time that it is reached for a model whose name holds the word. Unarmed, reaching one looks at an empty
dict.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from dataclasses import dataclass
from enum import StrEnum

from service.durations import parse_duration
from service.errors import ConfigError
from service.late_log import LateLog

log = LateLog("failpoint")


class Act(StrEnum):
    KILL = "kill"
    RAISE = "raise"
    STALL = "stall"
    SPIN = "spin"
    """Holds the loop and never comes back."""


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
    word: str
    """Of the models for which it acts each time, instead."""


_armed: dict[str, _Armed] = {}
_HOW = re.compile(r"(?P<act>[a-z]+)(:(?P<seconds>[^@~]+))?(@(?P<nth>[1-9][0-9]*))?(~(?P<word>.+))?", re.ASCII)


def _parse(text: str) -> dict[str, _Armed]:
    armed = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, said = part.partition("=")
        if name not in NAMES:
            raise ConfigError(f"CATCHLIGHT_FAILPOINTS: `{part}`: there is no failpoint {name}")
        how = _HOW.fullmatch(said)
        if how is None or how["act"] not in list(Act):
            raise ConfigError(
                f"CATCHLIGHT_FAILPOINTS: `{part}`: must be {name}=kill, =raise, =stall:10s or =spin, "
                "with @n for the n-th time or ~word for models of that name"
            )
        try:
            seconds = parse_duration(how["seconds"] or "10s")
        except ValueError as error:
            raise ConfigError(f"CATCHLIGHT_FAILPOINTS: `{part}`: {error}") from error
        armed[name] = _Armed(Act(how["act"]), seconds, int(how["nth"] or 1), how["word"] or "")
    return armed


def arm(text: str | None) -> None:
    """Arm exactly these, once per process, at its start. Raises ConfigError that names the wrong part."""
    _armed.clear()
    _armed.update(_parse(text or ""))


async def reach(name: str, model: str = "") -> None:
    """On the loop; `model` is that of the prediction at hand, where one is."""
    if _armed and (armed := _due(name, model)):
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


def _due(name: str, model: str = "") -> _Armed | None:
    armed = _armed.get(name)
    if armed is None:
        return None
    if armed.word:
        if armed.word not in model:
            return None
    else:
        armed.left -= 1
        if armed.left:
            return None
    log.warning("failpoint", name=name, act=armed.act)
    return armed


def _end(name: str, act: Act) -> None:
    match act:
        case Act.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        case Act.SPIN:
            while True:
                pass
    raise FailpointError(name)
