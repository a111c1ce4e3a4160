"""Calls of scripts that are made at about the same time, as one round trip: Redis needs one fsync for all.

What has been asked for while the calls before were under way goes next; a lone call waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.commands.core import AsyncScript

    from service.ledger.connection import Redis

MOST = 64
"""Calls in one round trip: each has to be answered within the client's deadline."""


class _Call(NamedTuple):
    script: AsyncScript
    arguments: Sequence[bytes]
    answer: asyncio.Future[Any]


_AS_BYTES: dict[str, Any] = {NEVER_DECODE: True}
"""Answers are decoded one by one: a text that is none would take the answers of all from them."""


class Together:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._calls: deque[_Call] = deque()
        self._under_way: list[_Call] = []
        self._asking: asyncio.Task[list[Any]] | None = None
        """Held, because the loop itself holds no task."""

    async def run(self, script: AsyncScript, arguments: Sequence[str | float | bytes]) -> Any:
        """The script's answer, or what the client raises instead."""
        # Encoded before it joins: half of a stranger's character is its own caller's trouble.
        encoded = [one if isinstance(one, bytes) else str(one).encode() for one in arguments]
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls.append(_Call(script, encoded, answer))
        if not self._under_way:
            self._go()
        return await answer

    def _go(self) -> None:
        # The first stands for all that join until the loop comes to it.
        self._under_way.append(self._calls.popleft())
        self._asking = asyncio.create_task(self._ask())
        self._asking.add_done_callback(self._settle)

    async def _ask(self) -> list[Any]:
        while self._calls and len(self._under_way) < MOST:
            self._under_way.append(self._calls.popleft())
        answers = await self._pipelined(self._under_way)
        unknown = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            # A server that has just been started knows none, and has run none of these.
            again = [self._under_way[n] for n in unknown]
            for script in {call.script for call in again}:
                await self._redis.script_load(script.script)
            for n, answer in zip(unknown, await self._pipelined(again), strict=True):
                answers[n] = answer
        return answers

    async def _pipelined(self, calls: Sequence[_Call]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.execute_command("EVALSHA", call.script.sha, 0, *call.arguments, **_AS_BYTES)
            return await pipe.execute(raise_on_error=False)

    def _settle(self, asked: asyncio.Task[list[Any]]) -> None:
        calls, self._under_way = self._under_way, []
        failure = asyncio.CancelledError() if asked.cancelled() else asked.exception()
        answers = [failure] * len(calls) if failure else asked.result()
        for call, answer in zip(calls, answers, strict=True):
            if call.answer.done():
                continue
            if isinstance(answer, asyncio.CancelledError):
                call.answer.cancel()
            elif isinstance(answer, BaseException):
                call.answer.set_exception(answer)
            else:
                _give(call.answer, answer)
        if self._calls:
            self._go()


def _give(waiting: asyncio.Future[Any], answer: Any) -> None:
    try:
        waiting.set_result(_decoded(answer))
    except UnicodeDecodeError as error:
        waiting.set_exception(error)


def _decoded(answer: Any) -> Any:
    """Raises UnicodeDecodeError."""
    if isinstance(answer, bytes):
        return answer.decode()
    return [_decoded(one) for one in answer] if isinstance(answer, list) else answer
