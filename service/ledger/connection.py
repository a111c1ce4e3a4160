"""The way to Redis: one client per process, short deadlines, and one place that translates its errors."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis import asyncio as redis_async
from redis import exceptions as redis_errors
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig as Maintenance

from service import sentinels
from service.errors import ConfigError, LedgerDown, LedgerFull

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A receiver must answer 503 within two seconds of Redis going away, whatever way it went.
CONNECT_TIMEOUT = 0.8
ANSWER_TIMEOUT = 1.2

_CANNOT_NOW = re.compile(r"\b(OOM|MISCONF|READONLY|MASTERDOWN|NOREPLICAS|BUSY|CLUSTERDOWN)\b")
NO_ANSWER = "Redis does not answer"
_FULL = "FULL "
# Of these the library cuts the word off the message.
_KNOWN_CANNOT = (redis_errors.OutOfMemoryError, redis_errors.ReadOnlyError, redis_errors.ClusterDownError)

Redis = redis_async.Redis

PLAIN: Mapping[str, Any] = {"driver_info": None, "maint_notifications_config": Maintenance(enabled=False)}
"""The library's greetings that we leave out: CLIENT SETINFO, which no ACL can allow that Redis 7.0 is to read
as well, and CLIENT MAINT_NOTIFICATIONS, after which a server may stretch our deadlines."""


def connect(url: str, *, connections: int = 16) -> Redis:
    """A client that connects at its first command. Raises ConfigError for an address that is not one."""
    deadlines = {"socket_connect_timeout": CONNECT_TIMEOUT, "socket_timeout": ANSWER_TIMEOUT, **PLAIN}
    # One more try finds a server that restarted since the connection was made. Not after a time-out:
    # the first command may still be running.
    once_more = Retry(NoBackoff(), 1, supported_errors=(redis_errors.ConnectionError,))
    try:
        if watched := sentinels.watched(url):
            to_sentinels = deadlines | watched.to_sentinels()
            # Its pool knows no waiting for a free connection; what asks much at once asks together anyway.
            asked: Any = Sentinel
            found: Redis = asked(watched.sentinels, sentinel_kwargs=to_sentinels).master_for(
                watched.name, decode_responses=True, retry=once_more, **deadlines, **watched.to_redis()
            )
            return found
        pool = redis_async.BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=ANSWER_TIMEOUT,
            decode_responses=True,
            retry=once_more,
            **deadlines,
        )
    except ValueError as error:
        raise ConfigError(f"CATCHLIGHT_REDIS_URL: {error}. Use redis://host:port/0 or rediss://…") from error
    return redis_async.Redis.from_pool(pool)


async def close(redis: Redis) -> None:
    """With the clients that have asked the sentinels, of which the library's own end knows nothing."""
    await redis.aclose()
    manager = getattr(redis.connection_pool, "sentinel_manager", None)
    for sentinel in manager.sentinels if manager is not None else ():
        await sentinel.aclose()


@contextmanager
def reaching() -> Iterator[None]:
    """Redis away, full, read-only or slow becomes LedgerDown; a wrong command of ours stays a bug."""
    try:
        yield
    except (redis_errors.ConnectionError, redis_errors.TimeoutError) as error:
        raise LedgerDown(f"{NO_ANSWER}: {error}", retry_after=1) from error
    except redis_errors.ResponseError as error:
        if str(error).startswith(_FULL):
            raise full(str(error)) from error
        # Anywhere in the message: a script's error quotes the one that stopped it.
        if isinstance(error, _KNOWN_CANNOT) or _CANNOT_NOW.search(str(error)):
            raise LedgerDown(f"Redis cannot take it: {error}", retry_after=2) from error
        raise


def full(said: str) -> LedgerFull:
    """What a script says when it takes no new work."""
    return LedgerFull(f"Redis is too full: {said.removeprefix(_FULL)}", retry_after=2)
