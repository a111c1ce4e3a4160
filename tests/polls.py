"""A poller with a provider whose answers a test writes, and a ledger in which ids became known long ago."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service import keys, settings, wavespeed
from service.clock import now
from service.intake import Intake
from service.ledger import Arrival, Ledger
from service.prediction import Ref, Step, Via
from tests.builders import RETENTION
from tests.provider import Provider, providing
from workers.pace import Pace
from workers.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from service.settings import Settings


HOOK = '[[hooks]]\nname = "crm"\nurl = "http://127.0.0.1:9/"\nsecret = "whsec_c2VjcmV0"\n'


@dataclass
class Whole:
    """Rounds that are over when they return."""

    rounds: Rounds

    @property
    def paused(self) -> bool:
        return self.rounds.paused

    async def poll(self) -> None:
        await asyncio.gather(*await self.rounds.poll())


@dataclass
class Polls:
    provider: Provider
    ledger: Ledger
    intake: Intake
    poller: Whole
    pace: Pace
    settings: Settings
    redis_url: str

    async def know(self, *ids: str, ago: float = 0.0, due_in: float = 0.0, **more: Any) -> None:
        """Ids that became known so many seconds ago, and when they are due from then on."""
        past = Ledger(self.redis_url, RETENTION, virtual_now=lambda: now() - ago)
        arrivals = [
            Arrival(Ref(wavespeed.SOURCE, id_), Via.TRACK, Step.TRACKED, due_in=due_in, **more) for id_ in ids
        ]
        await Intake(past).accept_all(arrivals)
        await past.aclose()

    async def prediction(self, id_: str) -> dict[str, Any]:
        found = await self.ledger.reading.prediction(Ref(wavespeed.SOURCE, id_))
        assert found is not None
        return found

    async def stage(self, id_: str) -> str:
        return str((await self.prediction(id_))["stage"])

    async def due_in(self, id_: str) -> float:
        due = await self.ledger.redis.zscore(keys.DUE_POLL, f"{wavespeed.SOURCE}:{id_}")
        assert due is not None, f"{id_} is not to be polled"
        return due - now()

    async def make_due(self, id_: str) -> None:
        await self.ledger.redis.zadd(keys.DUE_POLL, {f"{wavespeed.SOURCE}:{id_}": 1})


@asynccontextmanager
async def polling(redis_url: str, folder: Path, **changes: str) -> AsyncIterator[Polls]:
    file = folder / "catchlight.toml"
    file.write_text(HOOK)
    wanted = {"redis_url": redis_url, "poll_rate": "1000/s", "config": str(file)} | changes
    loaded = settings.load({f"CATCHLIGHT_{name.upper()}": value for name, value in wanted.items()})
    ledger = Ledger(redis_url, RETENTION)
    async with providing() as (provider, client):
        intake, pace = Intake(ledger), Pace(loaded.poll_rate)
        source = wavespeed.SOURCE
        poller = Whole(Rounds(loaded, ledger, intake, {source: client}, {source: pace}))
        yield Polls(provider, ledger, intake, poller, pace, loaded, redis_url)
    await ledger.aclose()
