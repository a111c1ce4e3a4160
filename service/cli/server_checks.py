"""What `doctor` tests of Redis: is it there, new enough, durable, writable, not full; and who uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from service import clock, keys
from service.cli.context import ledger_of
from service.errors import ConfigError, LedgerDown
from service.ledger import durability, reaching
from service.ledger.durability import Finding, State
from service.ledger.roles import CLOCKS_APART
from service.ledger.server import ADMIT_BELOW
from service.telling.spans import span
from service.troubles import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.ledger import Ledger
    from service.settings import Settings

OLDEST = (6, 2)
PROBE_TTL = 60


async def server(settings: Settings) -> list[Finding]:
    """All about Redis; when it is not there, only that."""
    try:
        async with ledger_of(settings) as ledger:
            return await _examined(ledger)
    except ConfigError as error:
        return [Finding("redis", State.FAIL, str(error), "set CATCHLIGHT_REDIS_URL")]
    except LedgerDown as error:
        return [Finding("redis", State.FAIL, str(error), "start it, or correct CATCHLIGHT_REDIS_URL")]
    except redis_errors.ResponseError as error:
        detail = f"refuses a command that we need: {error}"
        return [Finding("redis", State.FAIL, detail, "allow it, as deploy/users.acl does")]


async def _examined(ledger: Ledger) -> list[Finding]:
    with reaching():
        info = await ledger.redis.info()
        seconds, microseconds = await ledger.redis.time()
        set_aside = await ledger.redis.llen(keys.ASIDE)
    here = clock.now()
    return [
        version(str(info.get("redis_version", ""))),
        await _write(ledger),
        *await durability.check(ledger.redis),
        memory(info),
        clocks(seconds + microseconds / 1e6 - here),
        roles({one.role for one in await ledger.roles.alive()}),
        aside(set_aside),
    ]


def version(text: str) -> Finding:
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if numbers >= OLDEST:
        return Finding("redis", State.OK, f"answers, version {text}")
    return Finding("redis", State.FAIL, f"version {text or 'unknown'}", "run Redis 6.2 or later, or Valkey")


async def _write(ledger: Ledger) -> Finding:
    try:
        with reaching():
            await ledger.redis.set(keys.PROBE, "doctor", ex=PROBE_TTL)
    except (LedgerDown, redis_errors.ResponseError) as error:
        fix = "free memory or disk, or connect to the primary: until then callbacks are answered 503"
        return Finding("redis.write", State.FAIL, str(error), fix)
    return Finding("redis.write", State.OK, "takes a write")


def memory(info: dict[str, Any]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        return Finding("redis.memory", State.OK, f"{used >> 20} MiB used, no limit set")
    detail = f"{used / most:.0%} of {most >> 20} MiB used"
    if used <= ADMIT_BELOW * most:
        return Finding("redis.memory", State.OK, detail)
    return Finding("redis.memory", State.WARN, detail, "raise maxmemory, or shorten CATCHLIGHT_RETENTION")


def clocks(ahead: float) -> Finding:
    """`ahead`: seconds by which Redis' clock is later than ours."""
    if abs(ahead) < CLOCKS_APART:
        return Finding("clock", State.OK, "Redis and this machine agree on the time")
    word = "ahead of" if ahead > 0 else "behind"
    detail = f"Redis is {span(abs(ahead))} {word} this machine: genuine callbacks may look stale"
    return Finding("clock", State.WARN, detail, "synchronise the clocks of both (NTP)")


def roles(alive: Iterable[str]) -> Finding:
    absent = [role for role in ROLES if role not in set(alive)]
    if not absent:
        return Finding("roles", State.OK, f"alive: {', '.join(ROLES)}")
    fix = "; ".join(f"catchlight {role}" for role in absent)
    return Finding("roles", State.WARN, f"no {' and no '.join(ROLES[role] for role in absent)} is alive", fix)


def aside(jobs: int) -> Finding:
    if not jobs:
        return Finding("jobs", State.OK, "none is set aside as unreadable")
    fix = f"read why with `LRANGE {keys.ASIDE} 0 -1`: somebody else writes to our queue"
    return Finding("jobs", State.WARN, f"{jobs} unreadable or foreign jobs are set aside", fix)
