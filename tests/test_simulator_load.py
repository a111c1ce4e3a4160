"""The demo's plan is seeded, complete and mixed; driving it submits every part the way it says."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest

from service.simulator.load import How, Planned, drive, plan, submit_direct
from service.simulator.plot import IMAGE_MODEL
from service.simulator.run import running
from service.simulator.scenario import DEMO_MIX, Scenario
from service.simulator.simulator import SimulatorConfig


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_plan_follows_from_its_seed() -> None:
    assert plan(50, 1) == plan(50, 1)
    assert plan(50, 1) != plan(50, 2)


@pytest.mark.parametrize("n", [len(DEMO_MIX), 60, 200])
@pytest.mark.parametrize("seed", range(5))
def test_a_plan_holds_every_scenario_and_every_way_to_submit(n: int, seed: int) -> None:
    planned = plan(n, seed)
    ways = Counter(item.how for item in planned)
    assert len(planned) == n
    assert {item.scenario for item in planned} == set(Scenario)
    assert 1 <= ways[How.UNANNOUNCED] <= 2
    assert ways[How.VIA_API] > ways[How.DIRECT] > 0


@pytest.mark.parametrize("n", [0, 1, 5, 20])
def test_a_small_plan_takes_the_first_scenarios_of_the_demo(n: int) -> None:
    assert {item.scenario for item in plan(n, 3)} == set(list(DEMO_MIX)[:n])


def test_what_nobody_announces_needs_no_callback() -> None:
    for seed in range(20):
        assert {item.scenario for item in plan(60, seed) if item.how is How.UNANNOUNCED} <= {
            Scenario.CLEAN,
            Scenario.MULTI,
        }


@pytest.mark.anyio
async def test_driving_submits_each_part_its_own_way() -> None:
    asked: list[Planned] = []

    async with running(SimulatorConfig(delay=(60, 60))) as (base_url, sim):

        async def via_api(item: Planned) -> str:
            asked.append(item)
            return await submit_direct(base_url, item.model, item.inputs, "http://127.0.0.1:1/ours")

        planned = plan(40, 1)
        submitted = await drive(
            planned, via_api, simulator_url=base_url, webhook="http://127.0.0.1:1/ours", rate=400
        )
        known = {prediction.id: prediction for prediction in sim.listed()}
    assert [one.planned for one in submitted] == planned
    assert len({one.id for one in submitted}) == 40
    assert len(asked) == sum(item.how is How.VIA_API for item in planned)
    for one in submitted:
        assert known[one.id].scenario is one.planned.scenario
        assert (known[one.id].webhook is None) is (one.planned.how is How.UNANNOUNCED)


@pytest.mark.anyio
async def test_a_refused_submit_is_an_error() -> None:
    async with running() as (base_url, _):
        with pytest.raises(httpx.HTTPStatusError):
            await submit_direct(base_url, IMAGE_MODEL, {}, None)
