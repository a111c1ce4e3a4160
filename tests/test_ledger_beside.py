"""What stands beside the rows of a list: hooks that were told, and values that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import keys
from service.ledger import compact
from tests.builders import accept_one, callback, completed, fields_of, finish, hook, ref

if TYPE_CHECKING:
    from service.ledger import Ledger

pytestmark = pytest.mark.anyio


async def ended(ledger: Ledger, id_: str, *hooks: str) -> None:
    await accept_one(ledger, callback(completed(id_)))
    await finish(ledger, id_, hooks=[hook(name) for name in hooks])


async def told(ledger: Ledger, *ids: str) -> list[list[str]]:
    found = await ledger.beside.deliveries_of([ref(id_) for id_ in ids])
    return [sorted(one.hook for one in found[ref(id_)]) for id_ in ids]


async def test_of_each_prediction_its_deliveries_and_of_those_without_none(ledger: Ledger) -> None:
    await ended(ledger, "p1", "crm", "mail")
    await ended(ledger, "p2")
    assert await told(ledger, "p1", "p2", "never") == [["crm", "mail"], [], []]
    assert await told(ledger) == []


async def test_of_a_compact_one_too(ledger: Ledger) -> None:
    await ended(ledger, "p1", "crm")
    ((one,),) = (await ledger.beside.deliveries_of([ref("p1")])).values()
    await ledger.redis.hset(keys.DELIVERY + one.id, "state", "delivered")
    await ledger.compacting.compact(0, 10)
    assert compact.is_compact(await fields_of(ledger, "p1"))
    ((packed,),) = (await ledger.beside.deliveries_of([ref("p1")])).values()
    assert (packed.hook, packed.state) == ("crm", "delivered")


async def test_one_that_cannot_be_read_spoils_none_of_the_others(ledger: Ledger) -> None:
    await ended(ledger, "p1", "crm")
    await ledger.redis.hset(keys.PREDICTION + str(ref("p2")), mapping={"lives": "1", "z0": "rubbish"})
    assert await told(ledger, "p2", "p1") == [[], ["crm"]]


async def test_values_are_those_that_something_has_had(ledger: Ledger) -> None:
    await ended(ledger, "p1", "crm")
    await accept_one(ledger, callback(completed("p2", model="acme/other")))
    found = await ledger.beside.values(("model", "delivery.hook", "nsfw"))
    assert found == {"model": ["acme/other", "acme/painter"], "delivery.hook": ["crm"], "nsfw": []}
