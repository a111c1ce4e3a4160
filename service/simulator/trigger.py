"""One prediction's callbacks, signed and sent to any URL, without a submit and a running provider."""

from __future__ import annotations

import secrets as randomness
from typing import TYPE_CHECKING

from httpx_aiohttp import HttpxAiohttpClient

from service import clock
from service.authorities import bundled
from service.simulator import wire
from service.simulator.courier import post
from service.simulator.plot import IMAGE_MODEL, ending, letters, triggered_id
from service.simulator.truth import Prediction, Sent

if TYPE_CHECKING:
    from service.simulator.scenario import Scenario


async def trigger(
    scenario: Scenario, to_url: str, secret: str, *, cdn_base: str, token: str = ""
) -> list[Sent]:
    """One try per callback of the scenario, none for `lost`.

    `cdn_base` is a simulator's address: it knows such an id by its form and serves its result and outputs.
    The same `token` makes the same prediction again; without one it is new.
    """
    prediction = invent(scenario, cdn_base, token or randomness.token_hex(8))
    body = wire.payload(prediction, prediction.ready, cdn_base)
    async with HttpxAiohttpClient(verify=bundled(), trust_env=False) as client:
        return [
            await post(client, to_url, [secret], letter, body) for letter in letters(scenario, prediction.id)
        ]


def invent(scenario: Scenario, cdn_base: str, token: str) -> Prediction:
    """A prediction that is finished at once."""
    id_ = triggered_id(scenario, token)
    now = clock.now()
    return Prediction(
        id_, IMAGE_MODEL, {}, scenario, ending(scenario, id_, IMAGE_MODEL, cdn_base), now, now, now
    )
