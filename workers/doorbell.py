"""What an RQ job may say: one call of one of our functions with texts. All else is refused; pure."""

from __future__ import annotations

import json
import zlib
from typing import NamedTuple

from service import queues

FUNCTIONS = {queues.PROCESS: 2, queues.DELIVER: 1}
"""All that a job may name, and its number of arguments. JSON is no defence against `os.system`."""

DATA_MOST = 16 * 1024
"""Bytes of a call, also once inflated; one of ours has a few hundred."""

EXTRAS = (
    "success_callback_name",
    "failure_callback_name",
    "stopped_callback_name",
    "webhooks",
    "dependency_id",
    "dependency_ids",
    "group_id",
    "rate_limit_key",
    "repeats_left",
)
"""Fields with which a hash asks for more than a call: none of our jobs has any of them."""


class HostileJobError(ValueError):
    """A job that no code of ours has written; the text says what is wrong with it."""


class Seen(NamedTuple):
    """A job's key as a look at it found it."""

    kind: str
    """Redis' word for its type; `none` when there is nothing."""
    extras: str = ""
    """Those of EXTRAS that are set, with blanks between."""
    size: int = 0
    data: bytes = b""
    """The call; empty when there is none, or too much of it."""


class Doorbell(NamedTuple):
    function: str
    args: tuple[str, ...]


def read(seen: Seen) -> Doorbell:
    """Raises HostileJobError."""
    if seen.kind != "hash":
        raise HostileJobError(f"is a {seen.kind} and not a hash")
    if seen.extras:
        raise HostileJobError(f"asks for more than a call: {seen.extras}")
    if not 0 < seen.size <= DATA_MOST:
        raise HostileJobError(f"has {seen.size} bytes of data")
    try:
        call = json.loads(_inflated(seen.data))
    except (ValueError, RecursionError) as error:
        raise HostileJobError(f"is unreadable: {error}"[:200]) from error
    return _checked(call)


def _inflated(data: bytes) -> bytes:
    """RQ deflates what it writes itself, and our scripts do not."""
    inflating = zlib.decompressobj()
    try:
        text = inflating.decompress(data, DATA_MOST)
    except zlib.error:
        return data
    if not inflating.eof:
        raise HostileJobError(f"inflates to more than {DATA_MOST} bytes, or never ends")
    return text


def _checked(call: object) -> Doorbell:
    if not isinstance(call, list) or len(call) != 4:  # noqa: PLR2004 - RQ's function, instance, args, kwargs
        raise HostileJobError("is not one call")
    function, instance, args, kwargs = call
    if not isinstance(function, str) or function not in FUNCTIONS or instance is not None:
        raise HostileJobError(f"names {str(function)[:80]!r}, none of {', '.join(FUNCTIONS)}")
    texts = isinstance(args, list) and all(isinstance(arg, str) for arg in args)
    if not texts or len(args) != FUNCTIONS[function] or kwargs:
        raise HostileJobError(f"does not bring the {FUNCTIONS[function]} texts that {function} takes")
    return Doorbell(function, tuple(args))
