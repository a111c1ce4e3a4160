"""Calls back all the time for one prediction that is long over, and measures how it is answered."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

from httpx_aiohttp import HttpxAiohttpClient

from service import clock, wavespeed
from service.simulator import courier, wire
from service.simulator.plot import letters
from tests.waiting import wait_until

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

    from tests.faults.family import Family

EVERY = 0.1


class Prober:
    """A context manager; every answer becomes a line of the history."""

    def __init__(self, family: Family) -> None:
        self.last_status: int | None = None
        self._family = family
        self._probing: Future[None]

    def __enter__(self) -> Self:
        id_ = self._family.submit("clean")
        wait_until(lambda: self._family.stage(id_) == "done", what="the prober's prediction is done")
        self._probing = self._family.backstage.start(self._probe(id_))
        wait_until(lambda: self.last_status == 200, what="the first probe is answered")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._probing.cancel()

    async def _probe(self, id_: str) -> None:
        family = self._family
        prediction = family.simulator.find(id_)
        assert prediction is not None
        path = f"/webhooks/{wavespeed.SOURCE}"
        letter = letters(prediction.scenario, id_)[0]
        async with HttpxAiohttpClient(trust_env=False) as client:
            while True:
                body = wire.payload(prediction, clock.now(), family.simulator.base_url)
                began = time.monotonic()
                secrets = family.simulator.config.secrets
                sent = await courier.post(client, family.base + path, secrets, letter, body)
                seconds = round(time.monotonic() - began, 3)
                self.last_status = sent.status
                family.history.write("answer", path=path, status=sent.status, seconds=seconds)
                await asyncio.sleep(EVERY)
