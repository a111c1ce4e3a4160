"""What the server promises about a write it has acknowledged: read off its configuration, never changed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from redis import exceptions as redis_errors

from service.ledger.connection import reaching

if TYPE_CHECKING:
    from service.ledger.connection import Redis


class State(StrEnum):
    """Of one finding; in the order of their weight."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One assumption, tested."""

    name: str
    state: State
    detail: str
    fix: str = ""
    """What to do about it; empty when there is nothing to do."""


_WANTED = {
    "appendonly": ("yes", "without it a restart forgets what was acknowledged"),
    "appendfsync": ("always", "otherwise a power cut loses up to a second of what was acknowledged"),
    "maxmemory-policy": ("noeviction", "any other lets a full server drop what was acknowledged"),
}


async def check(redis: Redis) -> list[Finding]:
    """One finding per setting that the promise rests on. Raises LedgerDown."""
    found: dict[str | None, str | None] = {}
    try:
        for name in _WANTED:
            # One by one: before version 7 the command takes a single name.
            with reaching():
                found |= await redis.config_get(name)
    except redis_errors.ResponseError as error:
        return [_unreadable(str(error))]
    return [judge(name, found.get(name)) for name in _WANTED]


def judge(name: str, value: str | None) -> Finding:
    """`value` is None when the server does not know the setting."""
    wanted, why = _WANTED[name]
    title = f"durability.{name}"
    if value == wanted:
        return Finding(title, State.OK, f"{name} is {value}")
    return Finding(
        title,
        State.FAIL,
        f"{name} is {value or 'not known to the server'}, not {wanted}: {why}",
        f"set `{name} {wanted}` in the server's configuration, as deploy/redis.conf does",
    )


def _unreadable(why: str) -> Finding:
    return Finding(
        "durability",
        State.WARN,
        f"the server does not show its configuration ({why})",
        f"see to it that {', '.join(f'{name} is {wanted}' for name, (wanted, _) in _WANTED.items())}",
    )
