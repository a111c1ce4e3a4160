"""Three thousand predictions, and of three in ten no callback came: reconciling finds every one of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from service.simulator.simulator import SimulatorConfig
from tests.commandline import CommandLine
from tests.stories.house import House
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL, SILENT = 3000, 900
# Others submitted them, and nobody but the provider knows of them.
_MODEL = "stories/bulk"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Nothing polls or reconciles on its own, and nothing is fetched: what is found, the command finds."""
    config = SimulatorConfig(delay=(0, 0), callback_retry_base=0.2)
    changes = {"reconcile_every": "0", "poll_after": "1h", "poll_rate": "2000/s"}
    with House(tmp_path, changes, config) as house:
        house.end("work")
        yield house


def submit_all(house: House) -> None:
    webhook = f"{house.base}/webhooks/wavespeed"

    async def submit() -> None:
        for n in range(ALL):
            silent = n % 10 < 10 * SILENT // ALL
            inputs = {"prompt": "a fox", "simulate": "lost" if silent else "text"}
            house.world.simulator.submit(_MODEL, inputs, webhook)
            if n % 50 == 0:
                await asyncio.sleep(0.01)

    house.world.run(submit())


def test_reconciling_finds_all_that_never_called_back_and_says_so(house: House, tmp_path: Path) -> None:
    cli = CommandLine(tmp_path, None)

    def waiting() -> int:
        return int(house.client.get("/api/v1/scaling").json()["waiting"])

    def reconcile() -> dict[str, int]:
        ran = cli.run_in(house.environment, "reconcile", "--since", "1h", "--json")
        assert ran.code == 0, ran.err
        found: dict[str, int] = ran.json
        return found

    submit_all(house)
    wait_until(lambda: waiting() == ALL - SILENT, 60, "every callback that is sent is taken")

    first = reconcile()
    assert (first["listed"], first["seen"], first["missing"]) == (ALL, ALL - SILENT, SILENT)
    assert (first["late"], first["output_expired"], first["never_called_back"]) == (0, 0, SILENT)
    assert waiting() == ALL, "each of them once, durable and queued"

    again = reconcile()
    assert (again["seen"], again["missing"], again["never_called_back"]) == (ALL, 0, SILENT)
