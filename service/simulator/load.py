"""The demo's load: a seeded plan of submits through our API, by others, and behind everybody's back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Any

from httpx_aiohttp import HttpxAiohttpClient

from service.authorities import bundled
from service.simulator.plot import IMAGE_MODEL, PLAIN_MODEL, TEXT_MODEL, VIDEO_MODEL
from service.simulator.scenario import DEMO_MIX, Scenario, draw

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import httpx

_DIRECT_SHARE = 0.2
_UNANNOUNCED_MOST = 2
_SUBJECTS = ("a lighthouse keeper", "a fox in the snow", "an astronaut", "a violinist", "a clockmaker")


class How(StrEnum):
    """Who submits, and whether we are told."""

    VIA_API = "via_api"
    DIRECT = "direct"
    """Somebody else, with our callback URL: the callback is the first we hear of it."""
    UNANNOUNCED = "unannounced"
    """Somebody else, without a callback URL: only the provider's list tells."""


@dataclass(frozen=True, slots=True)
class Planned:
    scenario: Scenario
    model: str
    inputs: dict[str, Any]
    how: How


@dataclass(frozen=True, slots=True)
class Submitted:
    planned: Planned
    id: str


def plan(n: int, seed: int) -> list[Planned]:
    """The same for the same arguments; from 21 up with every scenario, below with the first of DEMO_MIX."""
    rng = Random(f"{seed}:plan")
    scenarios = list(DEMO_MIX)[:n]
    scenarios += [draw(rng, DEMO_MIX) for _ in range(n - len(scenarios))]
    rng.shuffle(scenarios)
    unannounced = _unannounced(scenarios)
    return [_planned(scenario, index in unannounced, rng) for index, scenario in enumerate(scenarios)]


def _unannounced(scenarios: Sequence[Scenario]) -> set[int]:
    """Only predictions whose story needs no callback; one in ten, two at most, and one as soon as it fits."""
    fit = [index for index, scenario in enumerate(scenarios) if scenario in (Scenario.CLEAN, Scenario.MULTI)]
    return set(fit[: min(_UNANNOUNCED_MOST, max(1, len(scenarios) // 10))])


def _planned(scenario: Scenario, unannounced: bool, rng: Random) -> Planned:
    model = _model(scenario, rng)
    direct = rng.random() < _DIRECT_SHARE
    how = How.UNANNOUNCED if unannounced else How.DIRECT if direct else How.VIA_API
    return Planned(scenario, model, _inputs(scenario, model, rng), how)


def _model(scenario: Scenario, rng: Random) -> str:
    if scenario is Scenario.TEXT:
        return TEXT_MODEL
    return rng.choices((IMAGE_MODEL, PLAIN_MODEL, VIDEO_MODEL), weights=(6, 3, 1))[0]


def _inputs(scenario: Scenario, model: str, rng: Random) -> dict[str, Any]:
    inputs: dict[str, Any] = {"prompt": f"{rng.choice(_SUBJECTS)}, drawn in ink", "simulate": str(scenario)}
    if model == IMAGE_MODEL:
        inputs["image"] = "https://static.wavespeed.ai/examples/character.png"
    if model in (IMAGE_MODEL, PLAIN_MODEL):
        inputs |= {"size": rng.choice(("1024*1024", "768*1024", "512*512")), "seed": rng.randrange(2**31)}
    return inputs


async def submit_direct(
    base_url: str, model: str, inputs: dict[str, Any], webhook: str | None, *, api_key: str = "simulated"
) -> str:
    """The new prediction's id from the simulator at `base_url`; httpx.HTTPStatusError when it refuses."""
    async with _client(base_url, api_key) as client:
        return await _submit(client, model, inputs, webhook)


PATIENCE = 30.0
"""Seconds: the load is not what is tried here, and a crowded machine may take its time."""


def _client(base_url: str, api_key: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {api_key}"}
    return HttpxAiohttpClient(
        base_url=f"{base_url}/api/v3", headers=headers, verify=bundled(), trust_env=False, timeout=PATIENCE
    )


async def _submit(client: httpx.AsyncClient, model: str, inputs: dict[str, Any], webhook: str | None) -> str:
    answer = await client.post(f"/{model}", params={"webhook": webhook} if webhook else {}, json=inputs)
    answer.raise_for_status()
    return str(answer.json()["data"]["id"])


async def drive(
    planned: Sequence[Planned],
    via_api: Callable[[Planned], Awaitable[str]],
    *,
    simulator_url: str,
    webhook: str,
    rate: float,
    api_key: str = "simulated",
) -> list[Submitted]:
    """Submits `rate` per second in the plan's order; `via_api` submits one through our API for its id."""

    async def one(client: httpx.AsyncClient, index: int, item: Planned) -> Submitted:
        await asyncio.sleep(index / rate)
        if item.how is How.VIA_API:
            return Submitted(item, await via_api(item))
        told = webhook if item.how is How.DIRECT else None
        return Submitted(item, await _submit(client, item.model, item.inputs, told))

    async with _client(simulator_url, api_key) as client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(client, index, item)) for index, item in enumerate(planned)]
    return [task.result() for task in tasks]
