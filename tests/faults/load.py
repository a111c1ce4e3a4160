"""Predictions at a steady rate, drawn from a mix, while the test does something else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service import wavespeed
from service.simulator.scenario import Scenario
from tests.faults.family import MODEL
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from tests.faults.chance import Chance
    from tests.faults.family import Family

MIX: Mapping[Scenario, float] = {
    Scenario.CLEAN: 40,
    Scenario.MULTI: 8,
    Scenario.FLAGGED: 6,
    Scenario.UNKNOWN: 5,
    Scenario.EMPTY_FLAGS: 1,
    Scenario.FAILED: 3,
    Scenario.MODERATION: 2,
    Scenario.CANCELLED: 1,
    Scenario.DUPLICATE: 8,
    Scenario.LOST: 6,
    Scenario.LATE: 3,
    Scenario.OUT_OF_ORDER: 4,
    Scenario.SLOW: 2,
    Scenario.FLAKY: 2,
    Scenario.TRUNCATED: 2,
    Scenario.EXPIRED: 2,
    Scenario.OBJECT: 2,
    Scenario.TEXT: 2,
    Scenario.CLASSIFIER: 1,
    Scenario.EMPTY: 1,
    Scenario.FORGED: 4,
}


class Load:
    """Begins at once; `unannounced` of the predictions carry no callback address."""

    def __init__(
        self,
        family: Family,
        chance: Chance,
        total: int,
        rate: float,
        mix: Mapping[Scenario, float] = MIX,
        *,
        unannounced: float = 0.02,
    ) -> None:
        self.ids: list[str] = []
        self._family = family
        self._chance = chance
        self._mix = mix
        self._unannounced = unannounced
        self._future: Future[None] = family.backstage.start(self._drive(total, rate))

    @property
    def running(self) -> bool:
        return not self._future.done()

    def wait(self, timeout: float = 600) -> None:
        self._future.result(timeout)

    def stop(self) -> None:
        self._future.cancel()

    def reached(self, count: int, timeout: float = 60) -> None:
        """Wait until so many were submitted."""
        wait_until(lambda: len(self.ids) >= count or not self.running, timeout, f"{count} submitted")

    async def _drive(self, total: int, rate: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        webhook = f"{self._family.base}/webhooks/{wavespeed.SOURCE}"
        for number in range(total):
            await asyncio.sleep(began + number / rate - loop.time())
            inputs = {"prompt": "a fox", "simulate": str(self._chance.weighted(self._mix))}
            told = None if self._chance.happens(self._unannounced) else webhook
            self.ids.append(self._family.simulator.submit(MODEL, inputs, told).id)
