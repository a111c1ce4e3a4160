"""A hook's secret is replaced: at no moment does the receiver meet a message that it cannot verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import clock
from service.simulator.scenario import Scenario
from service.simulator.simulator import SimulatorConfig
from tests.receiver import receiving
from tests.workplace import Workplace, shop_of, until, workplace
from workers import deliver

if TYPE_CHECKING:
    from pathlib import Path

    from service.prediction import Ref
    from tests.receiver import Receiver

pytestmark = pytest.mark.anyio

OLD = "whsec_b2xkLXNlY3JldC1vZi1hLWhvb2s="
NEW = "whsec_bmV3LXNlY3JldC1vZi1hLWhvb2s="


class Operator:
    """Writes the secret into catchlight.toml and restarts the worker, each time that it changes."""

    def __init__(self, redis_url: str, folder: Path, receiver: Receiver) -> None:
        self._redis_url, self._folder, self._receiver = redis_url, folder, receiver

    async def with_secret(self, *secrets: str, tells: int = 1, waiting: Ref | None = None) -> Ref:
        """A worker with these makes attempts until the receiver has seen `tells` more; of `waiting`, or of
        a prediction that ends meanwhile.
        """
        seen = len(self._receiver.seen)
        hooks = {"crm": {"url": f"{self._receiver.url}/hook", "secret": list(secrets)}}
        # Each simulated provider begins with the ids of its seed.
        config = SimulatorConfig(seed=seen, delay=(0, 0))
        async with (
            workplace(self._redis_url, self._folder, hooks=hooks, config=config) as place,
            shop_of(place) as shop,
        ):
            ref = waiting or await place.complete(place.payload(Scenario.TEXT))
            await place.worked(shop, ref)

            async def told() -> bool:
                await place.ledger.sweeping.sweep(10, reclaim=True)
                for id_ in await place.ledger.reading.deliveries_of(ref):
                    await deliver.deliver(shop, id_)
                return len(self._receiver.seen) >= seen + tells

            await until(told, what="it is told")
        return ref

    async def is_told(self, ref: Ref) -> bool:
        async with workplace(self._redis_url, self._folder, hooks={}) as place:
            return await only_delivered(place, ref)


async def only_delivered(place: Workplace, ref: Ref) -> bool:
    listed = (await place.prediction(ref))["deliveries"]
    return {one["state"] for one in listed} == {"delivered"}


async def test_every_message_verifies_before_during_and_after(redis_url: str, tmp_path: Path) -> None:
    async with receiving([OLD], clock.now) as receiver:
        operator = Operator(redis_url, tmp_path, receiver)
        refs = [await operator.with_secret(OLD)]

        # One attempt is made with the old secret alone, and the next ones of the same delivery with both.
        receiver.down["/hook"] = 503
        waiting = await operator.with_secret(OLD)
        refs.append(await operator.with_secret(NEW, OLD, waiting=waiting))
        receiver.down.clear()
        receiver.secrets = [NEW]
        await operator.with_secret(NEW, OLD, waiting=waiting)

        refs += [await operator.with_secret(NEW, OLD), await operator.with_secret(NEW)]
        assert all([await operator.is_told(ref) for ref in refs])

    assert [message.verified for message in receiver.seen] == [True] * 6
    assert [len(message.signature.split()) for message in receiver.seen] == [1, 1, 2, 2, 2, 1]
    retried = receiver.seen[1:4]
    assert [message.status for message in retried] == [503, 503, 204]
    assert len({(message.id, message.body) for message in retried}) == 1
    assert len({message.id for message in receiver.seen}) == 4
